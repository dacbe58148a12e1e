// What cannot be served is refused by name.
>> {"jsonrpc":"2.0","id":1,"method":"parallel_getBatches","params":[{"batchSize":"0x1"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: batch size must be from 64 to 256, got 1"}}
>> {"jsonrpc":"2.0","id":1,"method":"parallel_getBatches","params":[{"parentHash":"0x1111111111111111111111111111111111111111111111111111111111111111"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":3001,"message":"stale head","data":{"head":"0xec3b0013906af491717ca3000b6d4e01d2299c98e7a867930311188a73b55613"}}}
>> {"jsonrpc":"2.0","id":1,"method":"parallel_getBatches","params":[{"maxGass":"0x1"}]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: unknown field \"maxGass\""}}

// From 64 to 256 transactions.
>> {"jsonrpc":"2.0","id":1,"method":"parallel_setBatchSize","params":["0x80"]}
<< {"jsonrpc":"2.0","id":1,"result":true}
>> {"jsonrpc":"2.0","id":1,"method":"parallel_setBatchSize","params":["0x101"]}
<< {"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"invalid argument 0: batch size must be from 64 to 256, got 257"}}

// Of pool and batches.
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02f86c827a6980843b9aca0084b2d05e008252089470707070707070707070707070707070707070700180c080a0112a648d66b77afd471ee37bc6c6511da9ffcf3aedcb0d5c6f1d7cd07baa711ca055f452acd4d9754705b6cae38ea4626853f541af18a0ef214fa9b8558c49447c"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x21e2e8e6abeb7601b3389815076c33cc3d0504d26f5053b9cdcc8677fd3dca84"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02f86c827a6980843b9aca0084b2d05e008252089471717171717171717171717171717171717171710180c080a0ac593f8093481be56e3065a15e22b262f0189e884c0882be32b6a730e8ccf7c9a06fcc282dedb1f1a273cb0016bfeebfee2a2fd4cb1d9fc43422bde70d5048629a"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x078d28329d82bb261727ba3717a990a86539bcff6ef7fc801ba00ed987c01fbf"}
>> {"jsonrpc":"2.0","id":1,"method":"parallel_status","params":[]}
<< {"jsonrpc":"2.0","id":1,"result":{"pending":"0x2","queued":"0x0","parallelizable":"0x2","batches":"0x1","batchSize":"0x40","totalProcessed":"0x0","successfullyBatched":"0x0"}}

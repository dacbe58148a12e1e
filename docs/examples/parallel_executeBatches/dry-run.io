// Nothing is stored: blockHash is null.
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02f86c827a6980843b9aca0084b2d05e008252089470707070707070707070707070707070707070700180c080a0112a648d66b77afd471ee37bc6c6511da9ffcf3aedcb0d5c6f1d7cd07baa711ca055f452acd4d9754705b6cae38ea4626853f541af18a0ef214fa9b8558c49447c"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x21e2e8e6abeb7601b3389815076c33cc3d0504d26f5053b9cdcc8677fd3dca84"}
>> {"jsonrpc":"2.0","id":1,"method":"parallel_executeBatches","params":[{"dryRun":true}]}
<< {"jsonrpc":"2.0","id":1,"result":{"blockHash":null,"hashes":["0x21e2e8e6abeb7601b3389815076c33cc3d0504d26f5053b9cdcc8677fd3dca84"],"leftOut":[],"gasUsed":"0x5208","stateRoot":"0xff51f210deff07ec12cb56ca8cc16b0928a71a2d2c685d99f71b75f8c1628821","parallelMs":0.053,"conflicts":"0x0","executions":"0x1"}}
>> {"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}
<< {"jsonrpc":"2.0","id":1,"result":"0x0"}

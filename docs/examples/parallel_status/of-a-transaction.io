// Pending in a batch; queued, and what it waits for; never heard of.
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02f86c827a6980843b9aca0084b2d05e008252089470707070707070707070707070707070707070700180c080a0112a648d66b77afd471ee37bc6c6511da9ffcf3aedcb0d5c6f1d7cd07baa711ca055f452acd4d9754705b6cae38ea4626853f541af18a0ef214fa9b8558c49447c"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x21e2e8e6abeb7601b3389815076c33cc3d0504d26f5053b9cdcc8677fd3dca84"}
>> {"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x02f86c827a6901843b9aca0084b2d05e008252089471717171717171717171717171717171717171710180c001a0a4d4d451745c4fbed026e0f1d79561f29b330a6a6b9921e9a67cff51b54487bba03506b21a14faad0baf84ed17ec7c8449c948dcf5f5111c632567f43a612af5c5"]}
<< {"jsonrpc":"2.0","id":1,"result":"0x62052501fcb6535e4f2b38261910c0d921aa7b08d7cc845d350ac3f0a8910036"}
>> {"jsonrpc":"2.0","id":1,"method":"parallel_status","params":[{"hash":"0x21e2e8e6abeb7601b3389815076c33cc3d0504d26f5053b9cdcc8677fd3dca84"}]}
<< {"jsonrpc":"2.0","id":1,"result":{"hash":"0x21e2e8e6abeb7601b3389815076c33cc3d0504d26f5053b9cdcc8677fd3dca84","status":"pending","reason":null,"from":"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266","nonce":"0x0","tag":null,"batchId":"0x45aaa842bf1d457eaa4dfbb7fca29b6a231562c2adc5c34d2eb376c6c253059d","batchIndex":"0x0","batchKind":"sequential","prediction":{"source":"transfer","known":true,"gasUsed":"0x5208"}}}
>> {"jsonrpc":"2.0","id":1,"method":"parallel_status","params":[{"hash":"0x62052501fcb6535e4f2b38261910c0d921aa7b08d7cc845d350ac3f0a8910036"}]}
<< {"jsonrpc":"2.0","id":1,"result":{"hash":"0x62052501fcb6535e4f2b38261910c0d921aa7b08d7cc845d350ac3f0a8910036","status":"queued","reason":"nonce gap: next nonce 0, tx nonce 1","from":"0x70997970c51812dc3a010c7d01b50e0d17dc79c8","nonce":"0x1","tag":null}}
>> {"jsonrpc":"2.0","id":1,"method":"parallel_status","params":[{"hash":"0x0000000000000000000000000000000000000000000000000000000000000000"}]}
<< {"jsonrpc":"2.0","id":1,"result":{"hash":"0x0000000000000000000000000000000000000000000000000000000000000000","status":"unknown","reason":"neither in the pool nor on the chain"}}

// Compiles the benchmark's contracts and takes the published ones out of their package.
//
// In: src/*.sol, the demo token of the examples, node_modules (npm ci). Out: artifacts/*.json and
// uniswap/UniswapV3Factory.json, to be committed. The same inputs give the same bytes; a test of
// parallelpool-bench compares the recorded hash of every source with the file.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import solc from 'solc'

const here = dirname(fileURLToPath(import.meta.url))
const repository = join(here, '..', '..')
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: 'prague',
  // Without the hash of sources and settings at its end, code depends on code alone.
  metadata: { bytecodeHash: 'none' },
}

// Abstract contracts and interfaces give no artifact.
const sources = [
  join(repository, 'examples', 'contracts', 'DemoToken.sol'),
  ...readdirSync(join(here, 'src')).sort().map((file) => join(here, 'src', file)),
]

const inRepository = (file) => relative(repository, file).replaceAll('\\', '/')
const words = (value) => `${JSON.stringify(value, null, 2)}\n`

function compile() {
  const input = {
    language: 'Solidity',
    sources: Object.fromEntries(
      sources.map((file) => [inRepository(file), { content: readFileSync(file, 'utf8') }]),
    ),
    settings: {
      ...settings,
      outputSelection: {
        '*': { '*': ['evm.bytecode.object', 'metadata'] },
      },
    },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input)))
  const complaints = output.errors ?? []
  if (complaints.length > 0) {
    throw new Error(complaints.map((complaint) => complaint.formattedMessage).join('\n'))
  }
  return output.contracts
}

function artifact(name, contract) {
  const metadata = JSON.parse(contract.metadata)
  const hashes = Object.entries(metadata.sources).map(([path, source]) => [path, source.keccak256])
  return {
    contractName: name,
    compiler: solc.version(),
    settings,
    sources: Object.fromEntries(hashes),
    bytecode: `0x${contract.evm.bytecode.object}`,
  }
}

function published(name) {
  const folder = join(here, 'node_modules', '@uniswap', 'v3-core')
  const lock = JSON.parse(readFileSync(join(here, 'package-lock.json'), 'utf8'))
  const { version, integrity } = lock.packages['node_modules/@uniswap/v3-core']
  const path = join('artifacts', 'contracts', `${name}.sol`, `${name}.json`)
  const bytes = readFileSync(join(folder, path))
  const { contractName, bytecode, linkReferences } = JSON.parse(bytes)
  if (Object.keys(linkReferences).length > 0) throw new Error(`${name} is not linked`)
  return {
    contractName,
    license: 'GPL-2.0-or-later (see NOTICE.md)',
    package: '@uniswap/v3-core',
    version,
    integrity,
    file: path,
    fileSha256: createHash('sha256').update(bytes).digest('hex'),
    bytecode,
  }
}

const own = join(here, 'artifacts')
mkdirSync(own, { recursive: true })
for (const contracts of Object.values(compile())) {
  for (const [name, contract] of Object.entries(contracts)) {
    if (contract.evm.bytecode.object === '') continue
    writeFileSync(join(own, `${name}.json`), words(artifact(name, contract)))
  }
}
const uniswap = join(here, 'uniswap')
mkdirSync(uniswap, { recursive: true })
writeFileSync(join(uniswap, 'UniswapV3Factory.json'), words(published('UniswapV3Factory')))

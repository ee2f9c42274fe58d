import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { MiB } from '../base/units.ts'
import { noise } from '../testing/contract-tree.ts'
import { testRemoteContract } from '../testing/remote-contract.ts'
import { openLocal } from './local.ts'
import { openRemote } from './open-remote.ts'
import type { Remote } from './remote.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-by-command-test-'))
after(() => rm(directory, { recursive: true, force: true }))

/** A driver that can run commands on this host, and nothing else. */
function openBare(stop: AbortController): Remote {
  const context = makeContext({ signal: stop.signal })
  const { name, place, via, run, [Symbol.asyncDispose]: close } = openLocal(context)
  return openRemote({ name, place, via, run: run!, [Symbol.asyncDispose]: close }, context)
}

testRemoteContract(
  'a driver that can only run commands',
  async () => {
    const stop = new AbortController()
    return {
      remote: openBare(stop),
      base: join(directory, 'base'),
      untouched: [directory],
      interrupt: () => stop.abort(),
    }
  },
  { writable: true, runs: true },
)

it('files larger than what is kept of an output are read whole by commands', async () => {
  await using remote = openBare(new AbortController())
  const content = noise(10 * MiB)
  await remote.writeFile(join(directory, 'large'), content)
  const found = await remote.readFile(join(directory, 'large'))
  assert.ok(found && Buffer.compare(found, content) === 0)
})

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { makeContext } from '../base/context.ts'
import { testRemoteContract } from '../testing/remote-contract.ts'
import { openLocal } from './local.ts'
import { openRemote } from './open-remote.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-local-test-'))
after(() => rm(directory, { recursive: true, force: true }))

testRemoteContract(
  'this host',
  async () => {
    const stop = new AbortController()
    const context = makeContext({ signal: stop.signal })
    return {
      remote: openRemote(openLocal(context), context),
      base: join(directory, 'base'),
      untouched: [directory],
      interrupt: () => stop.abort(),
    }
  },
  { writable: true, runs: true },
)

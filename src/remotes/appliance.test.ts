import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { makeContext } from '../base/context.ts'
import { testRemoteContract } from '../testing/remote-contract.ts'
import { makeTinyImage } from '../testing/tiny-image.ts'
import { openAppliance } from './appliance.ts'
import { openRemote } from './open-remote.ts'

const directory = await mkdtemp(join(tmpdir(), 'ingot-appliance-test-'))
after(() => rm(directory, { recursive: true, force: true }))
const cacheDir = '/var/tmp/ap/cache2'
let count = 0
async function place(): Promise<{ path: string; tempDir: string; cacheDir: string }> {
  const own = join(directory, String(++count))
  await mkdir(join(own, 'temp'), { recursive: true })
  return { path: join(own, 'disk'), tempDir: join(own, 'temp'), cacheDir }
}

testRemoteContract(
  'the appliance',
  async () => {
    const own = await place()
    await makeTinyImage(own.path, { format: 'qcow2' })
    const context = makeContext()
    return {
      remote: openRemote(await openAppliance({ ...own, access: 'change' }, context), context),
      base: '/srv/contract',
      untouched: ['/tmp', '/srv', '/etc'],
      finishEnds: true,
    }
  },
  { writable: true, runs: true },
)

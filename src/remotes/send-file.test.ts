import assert from 'node:assert/strict'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { MiB } from '../base/units.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeScriptedRemote, type Answer } from '../testing/scripted-remote.ts'
import { openRemote } from './open-remote.ts'
import { sendFile } from './send-file.ts'

const context = makeContext()
const owned = { mode: 0o600, uid: 0, gid: 0 }

/** What `cat >> FILE` and `mv` do. */
const SHELL: readonly Answer[] = [
  {
    to: 'sh',
    give: ({ argv, input }, files) => {
      const path = argv.at(-1) ?? ''
      files.write(path, Buffer.concat([files.read(path)!, input as Uint8Array]), owned)
    },
  },
  {
    to: 'mv',
    give: ({ argv }, files) => {
      const [from, to] = argv.slice(-2) as [string, string]
      const { mode, uid, gid } = files.stat(from)!
      files.write(to, files.read(from)!, { mode, uid, gid })
      files.remove(from)
    },
  },
]

describe('a file that is sent', () => {
  let directory: string
  let large: string
  let small: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingot-send-'))
    large = join(directory, 'large')
    small = join(directory, 'small')
    await writeFile(small, 'small')
    await writeFile(large, 'start')
    await truncate(large, 40 * MiB + 3)
  })
  after(() => rm(directory, { recursive: true, force: true }))

  it('is written whole when it is small', async () => {
    const { driver, files, commands } = makeScriptedRemote({ answers: [] })
    await sendFile(openRemote(driver, context), small, '/srv/a b', { mode: 0o640, uid: 7 }, context)
    assert.equal(Buffer.from(files.read('/srv/a b')!).toString(), 'small')
    const { mode, uid, gid } = files.stat('/srv/a b')!
    assert.deepEqual({ mode, uid, gid }, { mode: 0o640, uid: 7, gid: 0 })
    assert.deepEqual(commands(), [])
  })

  it('comes in pieces when it is large, with the owner and mode of a new file', async () => {
    const { driver, files, calls } = makeScriptedRemote({ answers: SHELL })
    await sendFile(openRemote(driver, context), large, '/srv/large', {}, context)
    const { size, mode } = files.stat('/srv/large')!
    assert.deepEqual({ size, mode }, { size: 40 * MiB + 3, mode: 0o644 })
    assert.deepEqual(files.list('/srv'), ['large'])
    const pieces = calls.flatMap((call) =>
      call.kind === 'run' && call.command.input ? [call.command.input.length] : [],
    )
    assert.ok(Math.max(...pieces) <= 16 * MiB)
  })

  it('leaves nothing behind when the guest has no room for it', async () => {
    const full: Answer = {
      to: 'sh',
      give: { code: 1, stderr: 'cat: write error: No space left on device' },
    }
    const { driver, files } = makeScriptedRemote({ answers: [full] })
    await assert.rejects(
      sendFile(openRemote(driver, context), large, '/srv/large', {}, context),
      failsWith('NO_SPACE'),
    )
    assert.deepEqual(files.list('/srv'), [])
  })
})

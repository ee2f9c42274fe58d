import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { before, describe, it } from 'node:test'
import { makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { runTool } from '../base/process.ts'
import type { TreeMember } from '../formats/tree-archive.ts'
import { TreeArchiveWriter } from '../formats/write-tree-archive.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeScriptedRemote } from '../testing/scripted-remote.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { exportFormatOf } from './export-formats.ts'
import { exportRoot } from './export-root.ts'

const at = await tempDir()
before(async () => {
  for (const name of ['out', 'temp']) await mkdir(at(name))
})

const PLAIN = { mode: 0o755, uid: 0, gid: 0, mtime: 5, extended: new Map() }
const ROOT: TreeMember = { ...PLAIN, path: '', node: { type: 'directory' } }

/** Exports a guest whose archive is this, as a place of work gives it that is not to be trusted. */
async function exportArchive(members: readonly TreeMember[], name = 'rootfs.tar') {
  const driver = {
    ...makeScriptedRemote().driver,
    archive: async (file: string) => {
      const parts: Uint8Array[] = []
      const writer = new TreeArchiveWriter(async (bytes) => void parts.push(bytes))
      for (const member of members) await writer.add(member)
      await writer.end()
      await writeFile(file, Buffer.concat(parts))
    },
  }
  const format = exportFormatOf(name)
  assert.ok(format)
  const places = { output: at('out/tree.tar'), tempDir: at('temp') }
  return await exportRoot(openRemote(driver, makeContext()), format, places, makeContext())
}

describe('the export of a root', () => {
  it('refuses an archive that climbs out of it, and leaves nothing', async () => {
    const link: TreeMember = { ...PLAIN, path: 'etc', node: { type: 'link', target: '/etc' } }
    const below: TreeMember = { ...PLAIN, path: 'etc/cron.d', node: { type: 'fifo' } }
    const climbing: TreeMember = { ...PLAIN, path: '../out/x', node: { type: 'fifo' } }
    for (const members of [
      [ROOT, link, below],
      [ROOT, climbing],
    ])
      await assert.rejects(exportArchive(members), failsWith('IMAGE_UNSAFE'))
    assert.deepEqual([await readdir(at('temp')), await readdir(at('out'))], [[], []])
  })

  it('is dated by its newest file, and not by a time that no clock has shown', async () => {
    const late: TreeMember = { ...ROOT, path: 'late', mtime: 10 ** 14 }
    const { files } = await exportArchive([{ ...ROOT, mtime: 7 }, late], 'incus-unified')
    const [made] = files
    assert.ok(made)
    const metadata = await runTool(['tar', '-xOf', made.path, 'metadata.yaml'])
    assert.match(metadata.toString(), /^creation_date: 7$/m)
  })

  it('is not possible by a way that makes no archives', async () => {
    const { driver } = makeScriptedRemote()
    const format = exportFormatOf('rootfs.tar')
    assert.ok(format)
    const places = { output: at('out/none.tar'), tempDir: at('temp') }
    await assert.rejects(
      exportRoot(openRemote(driver, makeContext()), format, places, makeContext()),
      (error) =>
        error instanceof Failure &&
        error.code === 'REMOTE_CANNOT' &&
        /archiving its root is not possible by scripted/.test(error.message),
    )
    assert.deepEqual(await readdir(at('temp')), [])
  })
})

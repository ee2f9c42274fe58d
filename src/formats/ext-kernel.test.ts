/** What a running kernel wrote into a file system, which differs from what `mke2fs -d` puts there. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { runProcess } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import { openFileSource } from '../bytes/source.ts'
import { makeExtImage } from '../testing/ext-image.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { openExt } from './ext.ts'

const at = await tempDir()
const FILES = 600
/** Fills a directory file by file, so that it grows from one block to an index. In a mount namespace: it leaves nothing. */
const FILL = `mkdir "$2" && mount -o loop "$1" "$2" && mkdir "$2/many" &&
  for i in $(seq ${FILES}); do : > "$2/many/file-$i"; done && umount "$2"`

it('reads a directory that has grown into an index: its first block has an old check sum behind the new', async (t) => {
  const image = at('grown.ext4')
  await makeExtImage(image, 32 * MiB, {}, { mkfs: ['-O', 'metadata_csum,dir_index'] })
  const argv = ['unshare', '--mount', 'sh', '-c', FILL, 'sh', image, at('mounted')]
  const filled = await runProcess(argv)
  if (filled.code !== 0)
    return t.skip(`needs root, a loop device and ext4: ${filled.stderr.toString().trim()}`)
  await using source = await openFileSource(image)
  const ext = await openExt(source)
  const root = await ext.entries(await ext.inode(ext.root))
  const many = root.get('many')
  assert.ok(many !== undefined)
  const names = await ext.entries(await ext.inode(many))
  assert.equal(names.size, FILES)
  assert.ok(names.has('file-1') && names.has(`file-${FILES}`))
})

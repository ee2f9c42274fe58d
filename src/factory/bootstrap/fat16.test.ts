import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import * as fc from 'fast-check'
import { findProgram, runProcess, runTool } from '../../base/process.ts'
import { MiB } from '../../base/units.ts'
import { type FatVolume, makeFat16 } from './fat16.ts'

const volume: FatVolume = {
  size: 8 * MiB,
  offset: 2 * MiB,
  id: 0xabcd1234,
  label: 'EFI',
  time: new Date('2026-01-31T12:34:56Z'),
}

function assemble(of: FatVolume, files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const bytes = new Uint8Array(of.size)
  for (const piece of makeFat16(of, files)) bytes.set(piece.bytes, piece.offset)
  return bytes
}

function put(name: string, size = 1): unknown {
  return makeFat16(volume, new Map([[name, new Uint8Array(size)]]))
}

const name = fc.stringMatching(/^([A-Z0-9_-]{1,8}|[a-z0-9_-]{1,8})(\.([A-Z]{1,3}|[a-z]{1,3}))?$/)
const content = fc.uint8Array({ maxLength: 20_000 })
/** Files in up to three directories; no name stands twice in one, in whatever case. */
const files = fc
  .uniqueArray(fc.tuple(fc.constantFrom('', 'EFI/', 'EFI/BOOT/', 'efi2/debian/'), name, content), {
    selector: ([directory, name]) => `${directory}${name}`.toUpperCase(),
    maxLength: 20,
  })
  .map((all) =>
    all.filter(([, name]) => !['EFI', 'BOOT', 'EFI2', 'DEBIAN'].includes(name.toUpperCase())),
  )
  .map((all) => new Map(all.map(([directory, name, bytes]) => [directory + name, bytes])))

const missing = ['fsck.vfat', 'mcopy'].filter((program) => findProgram(program) === undefined)
const skip = missing.length > 0 ? `needs ${missing.join(' and ')} (dosfstools, mtools)` : false

describe('a FAT16 file system', () => {
  let directory: string
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fat-'))
  })
  after(() => rm(directory, { recursive: true }))

  it('is without fault for fsck, and mtools finds every file in it', { skip }, async () => {
    const path = join(directory, 'disk')
    await fc.assert(
      fc.asyncProperty(files, async (files) => {
        await writeFile(path, assemble(volume, files))
        const verdict = await runProcess(['fsck.vfat', '-n', path])
        assert.equal(verdict.code, 0, verdict.stdout.toString())
        for (const [name, bytes] of files)
          assert.deepEqual(
            await runTool(['mtype', '-i', path, `::${name}`]),
            Buffer.from(bytes),
            name,
          )
      }),
      { numRuns: 15 },
    )
  })

  it('shows names in the case they were given, and the time', { skip }, async () => {
    const path = join(directory, 'listed')
    const files = new Map([
      ['EFI/BOOT/BOOTX64.EFI', new Uint8Array(5000)],
      ['EFI/debian/grub.cfg', Buffer.from('configfile\n')],
    ])
    await writeFile(path, assemble(volume, files))
    const listing = (await runTool(['mdir', '-/', '-b', '-i', path, '::'])).toString()
    assert.deepEqual(listing.trim().split('\n').toSorted(), [
      '::/EFI/',
      '::/EFI/BOOT/',
      '::/EFI/BOOT/BOOTX64.EFI',
      '::/EFI/debian/',
      '::/EFI/debian/grub.cfg',
    ])
    const long = (await runTool(['mdir', '-i', path, '::EFI/BOOT'])).toString()
    assert.match(long, /Volume in drive : is EFI/)
    assert.match(long, /Volume Serial Number is ABCD-1234/)
    assert.match(long, /5000 2026-01-31 {2}12:34/)
  })

  it('keeps its clusters within the bounds of FAT16, whatever its size', { skip }, async () => {
    const path = join(directory, 'sized')
    for (const size of [5 * MiB, 33 * MiB, 64 * MiB, 100 * MiB, 127.5 * MiB]) {
      await writeFile(path, assemble({ ...volume, size }, new Map([['A', new Uint8Array(MiB)]])))
      const verdict = await runProcess(['fsck.vfat', '-n', '-v', path])
      assert.equal(verdict.code, 0, verdict.stdout.toString())
      assert.match(verdict.stdout.toString(), /2 FATs, 16 bit entries/)
    }
  })

  it('refuses what it cannot hold', () => {
    assert.throws(() => put('much', 9 * MiB), { code: 'BUILD_FAILED', message: /do not fit/ })
    for (const name of ['long-name-of-a-file', 'Mixed', 'a b', '', 'x.conf', '../../x'])
      assert.throws(() => put(name), { code: 'BUILD_FAILED' }, name)
    assert.throws(() => makeFat16({ ...volume, size: MiB }, new Map()), { code: 'BUILD_FAILED' })
  })
})

import assert from 'node:assert/strict'
import { type BigIntStats, fstatSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { makeContext } from '../base/context.ts'
import { systemCode } from '../base/failure.ts'
import { KiB, MiB } from '../base/units.ts'
import { DigestThreads } from '../bytes/digest-threads.ts'
import { fileDriver } from '../stores/drivers/file.ts'
import { openStore } from '../stores/open-store.ts'
import { noise } from '../testing/contract-tree.ts'
import { qemuImages } from '../testing/qemu-images.ts'
import { tempDir } from '../testing/temp-dir.ts'
import { ingest } from './ingest.ts'

const at = await tempDir()
const spoolDirectory = at('spool')
await mkdir(spoolDirectory)
const digests = new DigestThreads()
after(() => digests[Symbol.asyncDispose]())
const context = { ...makeContext(), dataDir: at('data') }
const store = await openStore({ id: 'file', type: 'file' }, fileDriver, context)

/** Data in pieces of odd sizes, and long zeros between them. */
const DISK = 96 * MiB
const disk = Buffer.alloc(DISK)
for (let index = 0; index < 12; index++) noise(3 * MiB + 700 * index).copy(disk, index * 8 * MiB)
await writeFile(at('disk'), disk)

/** Bytes on the medium of all files of the service, those without a name too. */
async function roomTaken(): Promise<number> {
  const found = new Map<bigint, number>()
  const add = ({ ino, blocks }: BigIntStats) => found.set(ino, Number(blocks) * 512)
  for (const directory of [at('data'), spoolDirectory])
    for (const name of await readdir(directory, { recursive: true }))
      add(await stat(join(directory, name), { bigint: true }))
  for (const descriptor of await readdir('/proc/self/fd'))
    try {
      const file = fstatSync(Number(descriptor), { bigint: true })
      if (file.isFile() && file.nlink === 0n) add(file)
    } catch (error) {
      if (systemCode(error) !== 'EBADF') throw error // that of the listing itself
    }
  return [...found.values()].reduce((sum, room) => sum + room, 0)
}

const qemu = async (format: string, ...options: string[]) =>
  await readFile(await (await qemuImages(format, disk)).converted(...options))

/** What an image of each kind is taken in as. */
const KINDS: readonly (readonly [name: string, diskFormat: string, make: () => Promise<Buffer>])[] =
  [
    ['raw', 'raw', async () => disk],
    ['raw.gz', 'raw', async () => gzipSync(disk, { level: 1 })],
    ['raw.zst', 'raw', async () => zstdCompressSync(disk)],
    ['qcow2', 'qcow2', async () => await qemu('qcow2')],
    ['compressed qcow2', 'qcow2', async () => await qemu('qcow2', '-c')],
    [
      'qcow2 compressed by zstd',
      'qcow2',
      async () => await qemu('qcow2', '-c', '-o', 'compression_type=zstd'),
    ],
    ['dynamic VHD', 'vhd', async () => await qemu('vpc', '-o', 'force_size=on')],
    ['VHDX', 'vhdx', async () => await qemu('vhdx')],
    ['VDI', 'vdi', async () => await qemu('vdi')],
    ['VMDK', 'vmdk', async () => await qemu('vmdk')],
    ['compressed VMDK', 'vmdk', async () => await qemu('vmdk', '-o', 'subformat=streamOptimized')],
    ['qcow2.gz', 'qcow2', async () => gzipSync(await qemu('qcow2'), { level: 1 })],
  ]

describe('data that is taken in', () => {
  for (const [name, diskFormat, make] of KINDS)
    it(`of the kind ${name} needs little more room on the way than in the end`, async () => {
      const bytes = await make()
      const before = await roomTaken()
      let most = 0
      async function* watched(): AsyncGenerator<Buffer> {
        for (let from = 0; from < bytes.length; from += 256 * KiB) {
          yield Buffer.from(bytes.subarray(from, from + 256 * KiB))
          if (from % MiB === 0) most = Math.max(most, (await roomTaken()) - before)
        }
        most = Math.max(most, (await roomTaken()) - before)
      }
      const plan = {
        name,
        store,
        key: name.replaceAll(' ', '-'),
        diskFormat,
        containerFormat: 'bare',
        maxSize: 1024 * MiB,
        requireMatch: true,
        hashAlgorithm: 'sha512',
        spoolDirectory,
        wantsMap: true,
        digests,
        decompress: true,
        convertTo: 'raw',
      }
      const { size } = await ingest(watched(), plan, context)
      assert.equal(size, DISK)
      const final = (await roomTaken()) - before
      assert.ok(final < 48 * MiB, `${final} bytes, though most of the disk is zeros`)
      assert.ok(most > 8 * MiB, 'nothing was seen on its way')
      assert.ok(most <= final * 1.05, `${most} bytes on the way, ${final} in the end`)
    })
})

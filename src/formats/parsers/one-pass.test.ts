import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, it } from 'node:test'
import { MiB } from '../../base/units.ts'
import { memorySource } from '../../bytes/source.ts'
import { qemuImages, sampleDisk } from '../../testing/qemu-images.ts'
import { withVmdkFooter } from '../../testing/vmdk-footer.ts'
import { vmdkStream } from '../../testing/vmdk-stream.ts'
import { openDisk } from '../open-disk.ts'
import { StreamParse } from '../_parse-stream.ts'
import { DEFAULT_LIMITS, type DiskParser } from '../parser.ts'
import { qcow2Parser } from './qcow2.ts'
import { vhdParser } from './vhd.ts'
import { vhdxParser } from './vhdx.ts'
import { vmdkParser } from './vmdk.ts'

const DISK = sampleDisk(9 * MiB + 512)
const [qcow2, vpc, vhdx, vmdk] = [
  await qemuImages('qcow2', DISK),
  await qemuImages('vpc', DISK),
  await qemuImages('vhdx', DISK),
  await qemuImages('vmdk', DISK),
]
const STREAM = ['-o', 'subformat=streamOptimized']

const FILES: Record<string, [parser: DiskParser, make: () => Promise<Buffer>]> = {
  'a dynamic VHD': [vhdParser, async () => readFile(await vpc.converted())],
  'a dynamic VHD out of order': [
    vhdParser,
    async () => readFile(await vpc.converted('-W', '-m', '8')),
  ],
  'a fixed VHD': [
    vhdParser,
    async () => readFile(await vpc.converted('-o', 'subformat=fixed,force_size=on')),
  ],
  'a VHDX': [vhdxParser, async () => readFile(await vhdx.converted('-o', 'block_size=1M'))],
  'a fixed VHDX': [vhdxParser, async () => readFile(await vhdx.converted('-o', 'subformat=fixed'))],
  'a VMDK': [vmdkParser, async () => readFile(await vmdk.converted())],
  'a compressed VMDK': [vmdkParser, async () => readFile(await vmdk.converted(...STREAM))],
  'a compressed VMDK out of order': [
    vmdkParser,
    async () => readFile(await vmdk.converted('-W', '-m', '8', ...STREAM)),
  ],
  'a VMDK whose directory a footer tells': [
    vmdkParser,
    async () => withVmdkFooter(await readFile(await vmdk.converted())),
  ],
  'a VMDK that ends in its directory': [vmdkParser, async () => vmdkStream(DISK).bytes],
}

async function importedBy(parser: DiskParser, file: Buffer) {
  const random = await openDisk(memorySource(file), parser)
  const disk = Buffer.alloc(random.size + 2 * MiB)
  await using parse = new StreamParse(parser, {
    limits: DEFAULT_LIMITS,
    spool: { directory: vpc.path(''), limit: MiB, newId: () => 'spool' },
    sink: { write: (guest, bytes) => disk.set(bytes, guest) },
  })
  for (let at = 0; at < file.length; at += 100_000)
    await parse.push(Buffer.from(file.subarray(at, at + 100_000)))
  const { safe, spooled } = await parse.end()
  const wanted = await random.read(0, random.size)
  assert.equal(Buffer.compare(disk.subarray(0, random.size), wanted), 0)
  return { safe, spooled }
}

describe('a stream is taken apart as it comes, with nothing put aside:', () => {
  for (const [name, [parser, make]] of Object.entries(FILES))
    it(name, async () => {
      assert.deepEqual(await importedBy(parser, await make()), { safe: true, spooled: 0 })
    })
})

describe('a compressed qcow2 is taken apart as it comes, in whatever order it was written:', () => {
  for (const size of ['512', '4k', '64k', '2M'])
    for (const more of ['', ',refcount_bits=2', ',compression_type=zstd'])
      it(`clusters of ${size}${more}`, async () => {
        const options = ['-c', '-o', `cluster_size=${size}${more}`]
        for (const order of [[], ['-W', '-m', '8']]) {
          const file = await readFile(await qcow2.converted(...order, ...options))
          assert.equal((await importedBy(qcow2Parser, file)).safe, true)
        }
      })
})

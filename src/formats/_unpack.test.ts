import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { runTool } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import type { StreamPacking } from './_claim.ts'
import { FindingList } from './_findings.ts'
import { openUnpacker } from './_unpack.ts'
import { DEFAULT_LIMITS, type Limits } from './parser.ts'

const noise = createHash('shake256', { outputLength: 60_000 }).update('noise').digest()
const CONTENT = Buffer.concat([Buffer.alloc(300_000, 7), noise, Buffer.alloc(2 * MiB)])
const PACKED: Record<StreamPacking, Buffer> = {
  gzip: gzipSync(CONTENT),
  zstd: zstdCompressSync(CONTENT, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }), // with a check sum
  xz: await runTool(['xz', '-c'], { input: CONTENT }),
  bzip2: await runTool(['bzip2', '-c'], { input: CONTENT }),
}
const PACKINGS = Object.keys(PACKED) as StreamPacking[]

/** What comes out of a stream that comes in chunks of this size, and the refusals. */
async function unpack(
  packing: StreamPacking,
  bytes: Buffer,
  { chunk = 65_536, limits = DEFAULT_LIMITS }: { chunk?: number; limits?: Limits } = {},
) {
  const findings = new FindingList()
  const out: Buffer[] = []
  const sink = (part: Uint8Array) => void out.push(Buffer.from(part))
  const unpacker = openUnpacker(packing, { limits, findings, sink })
  for (let at = 0; at < bytes.length; at += chunk)
    await unpacker.push(bytes.subarray(at, at + chunk))
  const whole = await unpacker.end()
  await unpacker.close()
  const codes = findings.all.map(({ code, severity }) => `${severity} ${code}`)
  return { whole, codes, content: Buffer.concat(out) }
}

for (const packing of PACKINGS)
  describe(packing, () => {
    const bytes = PACKED[packing]

    it('comes out as it went in, however the stream is cut', async () => {
      for (const chunk of [7, 512, 4096, 65_536, MiB]) {
        const { whole, codes, content } = await unpack(packing, bytes, { chunk })
        assert.deepEqual([whole, codes], [true, []])
        assert.ok(content.equals(CONTENT))
      }
    })

    it('may be several streams, one after the other', async () => {
      const { whole, codes, content } = await unpack(packing, Buffer.concat([bytes, bytes]))
      assert.deepEqual([whole, codes, content.length], [true, [], 2 * CONTENT.length])
    })

    it('that is cut is refused as cut', async () => {
      for (const end of [-1, -9, -bytes.length / 2])
        for (const chunk of [7, 4096, MiB]) {
          const { whole, codes } = await unpack(packing, bytes.subarray(0, end), { chunk })
          assert.deepEqual([whole, codes], [false, ['refuse TRUNCATED']])
        }
    })

    it('that is damaged is refused', async () => {
      const damaged = Buffer.from(bytes)
      const middle = damaged.length >> 1
      damaged.writeUInt8(damaged.readUInt8(middle) ^ 0x55, middle)
      const { whole, codes } = await unpack(packing, damaged)
      assert.deepEqual([whole, codes], [false, ['refuse CONTENT_DAMAGED']])
    })

    it('with anything else behind it is refused', async () => {
      for (const chunk of [7, MiB]) {
        const more = Buffer.concat([bytes, Buffer.from('something else')])
        const { codes } = await unpack(packing, more, { chunk })
        assert.equal(codes.length, 1)
        assert.match(codes[0] ?? '', /^refuse (UNUSED_BYTES|CONTENT_DAMAGED|TRUNCATED)$/)
      }
    })

    it('gives no more than it may', async () => {
      const limits = { ...DEFAULT_LIMITS, unpackedSize: MiB }
      const { whole, codes, content } = await unpack(packing, bytes, { limits })
      assert.deepEqual([whole, codes], [false, ['refuse SIZE_LIMIT']])
      assert.ok(content.length <= MiB)
    })
  })

describe('zeros behind a compressed stream', () => {
  it('are padding', async () => {
    for (const packing of ['gzip', 'zstd', 'xz'] as const) {
      const padded = Buffer.concat([PACKED[packing], Buffer.alloc(1024)])
      assert.deepEqual((await unpack(packing, padded)).codes, [])
    }
  })

  it('are none when something follows', async () => {
    for (const packing of ['gzip', 'zstd'] as const) {
      const more = Buffer.concat([PACKED[packing], Buffer.alloc(600), Buffer.from('junk')])
      for (const chunk of [7, MiB])
        assert.deepEqual((await unpack(packing, more, { chunk })).codes, ['refuse UNUSED_BYTES'])
    }
  })
})

it('a zstd frame that wants more than 128 MiB of memory is refused', async () => {
  const frame = Buffer.from('28b52ffd00f8010000', 'hex')
  assert.deepEqual((await unpack('zstd', frame)).codes, ['refuse LIMIT_REACHED'])
})

it('much from nearly nothing is refused, after some of it', async () => {
  // one frame of 64 MiB of zeros is 2 KiB: RLE blocks of 128 KiB, four bytes each
  const head = Buffer.from('28b52ffd0038', 'hex')
  const block = Buffer.from('02001000', 'hex')
  const last = Buffer.from('03001000', 'hex')
  const frame = Buffer.concat([head, ...Array.from({ length: 511 }, () => block), last])
  const findings = new FindingList()
  let size = 0
  const unpacker = openUnpacker('zstd', {
    limits: DEFAULT_LIMITS,
    findings,
    sink: (part) => void (size += part.length),
    freeSize: 256 * MiB,
  })
  for (let count = 0; count < 200 && !unpacker.stopped; count++) await unpacker.push(frame)
  await unpacker.end()
  assert.deepEqual(
    findings.all.map(({ code }) => code),
    ['LIMIT_REACHED'],
  )
  assert.ok(size > 255 * MiB && size <= 257 * MiB, `${size}`)
})

it('what a few compressed bytes go on to give is not waited for when nobody wants it', async () => {
  const findings = new FindingList()
  let size = 0
  const unpacker = openUnpacker('gzip', {
    limits: DEFAULT_LIMITS,
    findings,
    sink: (part) => {
      size += part.length
      unpacker.stop()
    },
  })
  await unpacker.push(gzipSync(Buffer.alloc(64 * MiB)))
  assert.equal(await unpacker.end(), false)
  assert.ok(size <= MiB, `${size}`)
  assert.deepEqual(findings.all, [])
})

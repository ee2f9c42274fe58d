import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32, deflateRawSync } from 'node:zlib'
import { assert as check, asyncProperty, integer, nat } from 'fast-check'
import { unzip, ZipError } from './_unzip.ts'

const CONTENT = Buffer.from('all work and no play '.repeat(2000))

/** An archive with one file, as most programs write it. */
function zipOf(content: Buffer, method: 0 | 8): Buffer {
  const packed = method === 8 ? deflateRawSync(content) : content
  const name = Buffer.from('disk')
  const about = Buffer.alloc(26) // what local header and directory entry have in common
  about.writeUInt16LE(20, 0)
  about.writeUInt16LE(method, 4)
  about.writeUInt32LE(crc32(content), 10)
  about.writeUInt32LE(packed.length, 14)
  about.writeUInt32LE(content.length, 18)
  about.writeUInt16LE(name.length, 22)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  return Buffer.concat([
    Buffer.from('PK\x03\x04', 'latin1'),
    about,
    name,
    packed,
    Buffer.from('PK\x01\x02\x14\0', 'latin1'),
    about,
    Buffer.alloc(14),
    name,
    end,
  ])
}

async function unzipped(archive: Buffer, cut = archive.length): Promise<Buffer> {
  const chunks = async function* () {
    yield* [archive.subarray(0, cut), archive.subarray(cut)]
  }
  return Buffer.concat(await Array.fromAsync(unzip(chunks())))
}

describe('a zip archive', () => {
  it('gives the one file in it, wherever the chunks end', async () => {
    for (const method of [0, 8] as const) {
      const archive = zipOf(CONTENT, method)
      const cut = nat(archive.length)
      const whole = asyncProperty(cut, async (at) => {
        assert.ok((await unzipped(archive, at)).equals(CONTENT))
      })
      await check(whole, { numRuns: 30 })
    }
  })

  it('that is damaged or ends anywhere is refused, and never waited for', async () => {
    const archive = zipOf(CONTENT, 8)
    const damaged = asyncProperty(nat(archive.length - 1), integer({ min: 1, max: 255 }), refused)
    async function refused(at: number, flip: number) {
      const bad = Buffer.from(archive)
      bad[at] = (bad[at] ?? 0) ^ flip
      for (const one of [bad, archive.subarray(0, at)])
        try {
          assert.ok((await unzipped(one)).equals(CONTENT), 'what is given is what was packed')
        } catch (error) {
          assert.ok(error instanceof ZipError, String(error))
        }
    }
    await check(damaged, { numRuns: 200, examples: [[34, 255]] })
    const zeros = Buffer.concat([archive.subarray(0, 34), Buffer.alloc(1000)])
    await assert.rejects(unzipped(zeros), /invalid stored block/)
  })
})

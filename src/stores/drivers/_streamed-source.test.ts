import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { streamedSource } from './_streamed-source.ts'

const CONTENT = Buffer.from(Array.from({ length: 5000 }, (_, at) => (at * 31) & 0xff))

/** A place that gives ranges in chunks, and breaks off after some bytes as often as it is told. */
function makePlace(breaks: number[] = []) {
  const asked: string[] = []
  const open = new Set<Readable>()
  const fetch = async (offset: number, end: number, signal: AbortSignal) => {
    signal.throwIfAborted()
    asked.push(`${offset}-${end}`)
    const cut = breaks.shift()
    async function* give() {
      for (let at = offset; at < end; at += 97) {
        if (cut !== undefined && at - offset > cut) throw new Error('broken off')
        yield CONTENT.subarray(at, Math.min(at + 97, end))
      }
    }
    const body = Readable.from(give(), { objectMode: false })
    body.on('error', () => {})
    open.add(body)
    body.once('close', () => open.delete(body))
    return body
  }
  return { asked, open, source: streamedSource('far', CONTENT.length, fetch) }
}

suite('a source that streams', () => {
  test('gives what is asked for, in any order, at once, and when bodies break off', async () => {
    const read = fc.record({ from: fc.nat(5000), length: fc.nat(700), goOn: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(read, { maxLength: 5 }), { maxLength: 8 }),
        fc.array(fc.nat(600), { maxLength: 3 }),
        async (groups, breaks) => {
          const { source, open } = makePlace(breaks)
          let end = 0
          for (const group of groups) {
            const found = group.map(async ({ from, length, goOn }) => {
              const start = goOn ? end : from
              end = Math.min(5000, start + length)
              const expected = CONTENT.subarray(start, end)
              const bytes = await source.read(start, expected.length)
              assert.ok(expected.equals(bytes), `${start} to ${end}`)
            })
            await Promise.all(found)
          }
          await source[Symbol.asyncDispose]()
          await new Promise((resolve) => setImmediate(resolve))
          assert.equal(open.size, 0, 'no body is left open')
        },
      ),
      { numRuns: 200 },
    )
  })

  test('asks once for everything when reads follow each other, and no more when they do not', async () => {
    const place = makePlace()
    for (let at = 0; at < 5000; at += 500) await place.source.read(at, 500)
    assert.deepEqual(place.asked, ['0-500', '500-5000'])
    await place.source.read(4000, 10)
    await place.source.read(100, 10)
    assert.deepEqual(place.asked.slice(2), ['4000-4010', '100-110'])
    await place.source[Symbol.asyncDispose]()
  })

  test('gives up when every try breaks off, and can be read later', async () => {
    const place = makePlace([0, 0, 0, 0])
    await assert.rejects(place.source.read(0, 5000), /broken off/)
    assert.equal((await place.source.read(0, 5000)).length, 5000)
    await place.source[Symbol.asyncDispose]()
  })
})

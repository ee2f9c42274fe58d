import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { failsWith } from '../testing/fails-with.ts'
import { formatEvent, HEARTBEAT, readEvents, type StreamEvent } from './event-stream.ts'

/** The text as it may arrive: cut anywhere, in the middle of characters too. */
async function* cutUp(text: string, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  const places = cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b)
  let from = 0
  for (const to of [...places, bytes.length]) {
    yield bytes.subarray(from, to)
    from = to
  }
}

async function readAll(text: string, cuts: readonly number[] = []): Promise<StreamEvent[]> {
  return await Array.fromAsync(readEvents(cutUp(text, cuts)))
}

describe('server-sent events', () => {
  it('are read as they were written, however they arrive', async () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,8}$/)
    const data = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\r', ''))
    const event = fc.record({ event: word, id: word, data }, { noNullPrototype: true })
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        async (events, cuts) => {
          const text = events.map((one) => HEARTBEAT + formatEvent(one)).join('')
          assert.deepEqual(await readAll(text, cuts), events)
        },
      ),
    )
  })

  it('may come from others: line ends of all kinds, no space, comments, unknown fields', async () => {
    const text = ': hello\r\nretry: 5\r\nevent:log\r\nid: 7\r\ndata:a\r\ndata: b\r\n\r\ndata\n\n\n'
    assert.deepEqual(await readAll(text), [
      { event: 'log', id: '7', data: 'a\nb' },
      { event: 'message', data: '' },
    ])
  })

  it('that are cut short are left out, and what does not end is refused', async () => {
    assert.deepEqual(await readAll('event: log\ndata: half'), [])
    await assert.rejects(readAll('x'.repeat(5_000_000)), failsWith('LIMIT_EXCEEDED'))
  })

  it('cannot be made to say more by what they carry', async () => {
    const sent = formatEvent({ event: 'a\ndata: x', id: '1\n\nevent: b', data: 'x\n\nevent: c' })
    assert.equal((await readAll(sent)).length, 1)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  assert as check,
  constantFrom,
  nat,
  oneof,
  property,
  record,
  array,
  uint8Array,
} from 'fast-check'
import { KiB } from '../base/units.ts'
import { memorySource } from '../bytes/source.ts'
import { DiskMap, UNIT } from '../formats/disk-map.ts'
import { text, u32 } from '../testing/nbd-client.ts'
import { type Agreement, negotiate } from './_negotiate.ts'
import type { NbdExport } from './export.ts'

const exported: NbdExport = {
  name: 'disk',
  description: 'a disk',
  disk: memorySource(Buffer.alloc(UNIT)),
  map: new DiskMap(UNIT, Uint32Array.of(1)),
}

/** What a client that says these bytes, and then nothing more, is told and gets. */
function talk(said: Uint8Array): {
  agreed: Agreement | 'nothing' | 'waiting'
  told: Buffer
  most: number
} {
  const told: Buffer[] = []
  let [at, most] = [0, 0]
  const steps = negotiate(exported)
  let step = steps.next()
  while (!step.done) {
    if ('send' in step.value) {
      told.push(step.value.send)
      step = steps.next(Buffer.alloc(0))
      continue
    }
    const { want } = step.value
    most = Math.max(most, want)
    if (at + want > said.length) return { agreed: 'waiting', told: Buffer.concat(told), most }
    step = steps.next(Buffer.from(said.subarray(at, (at += want))))
  }
  return { agreed: step.value ?? 'nothing', told: Buffer.concat(told), most }
}

function option(number: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from('IHAVEOPT'), u32(number), u32(data.length), data])
}

/** What a client gets that sends these options and then chooses the disk. */
function agreed(...options: Buffer[]) {
  return talk(Buffer.concat([u32(3), ...options, go])).agreed
}

const go = option(7, Buffer.concat([text('disk'), Buffer.from([0, 0])]))
const context = Buffer.concat([text('disk'), u32(1), text('base:allocation')])

describe('a negotiation', () => {
  it('agrees on what was asked for, and on no more', () => {
    assert.deepEqual(agreed(), { structured: false, allocation: false })
    assert.deepEqual(agreed(option(8)), { structured: true, allocation: false })
    assert.deepEqual(agreed(option(8), option(10, context)), { structured: true, allocation: true })
    assert.deepEqual(agreed(option(10, context)), { structured: false, allocation: false })
  })

  it('forgets the contexts when they are chosen again', () => {
    const none = option(10, Buffer.concat([text('disk'), u32(0)]))
    const { agreed } = talk(Buffer.concat([u32(3), option(8), option(10, context), none, go]))
    assert.deepEqual(agreed, { structured: true, allocation: false })
  })

  it('tells clients of the old way the size, with zeros behind it unless they do not want them', () => {
    const named = option(1, Buffer.from('disk'))
    assert.equal(talk(Buffer.concat([u32(1), named])).told.length, 18 + 10 + 124)
    assert.equal(talk(Buffer.concat([u32(3), named])).told.length, 18 + 10)
    assert.equal(talk(Buffer.concat([u32(3), option(1, Buffer.from('other'))])).agreed, 'nothing')
  })

  it('refuses encryption and what it does not know, and goes on', () => {
    for (const unknown of [option(5), option(11), option(0xffffffff, Buffer.alloc(9))]) {
      const { agreed, told } = talk(Buffer.concat([u32(3), unknown, go]))
      assert.ok(typeof agreed === 'object')
      assert.equal(told.readUInt32BE(18 + 12), 2 ** 31 + 1)
    }
  })

  it('ends when the client breaks the rules', () => {
    assert.equal(talk(u32(4)).agreed, 'nothing', 'an unknown flag')
    assert.equal(talk(Buffer.concat([u32(3), Buffer.alloc(16)])).agreed, 'nothing', 'no magic')
    const long = Buffer.concat([Buffer.from('IHAVEOPT'), u32(6), u32(0xffffffff)])
    assert.equal(talk(Buffer.concat([u32(3), long])).agreed, 'nothing', 'a long option')
    const many = Array.from({ length: 300 }, () => option(3))
    assert.equal(talk(Buffer.concat([u32(3), ...many])).agreed, 'nothing', 'without end')
  })

  it('refuses options whose lengths contradict each other', () => {
    const wrong = [
      option(7, Buffer.alloc(3)),
      option(7, Buffer.concat([u32(100), Buffer.from('disk')])),
      option(7, Buffer.concat([text('disk'), Buffer.from([0, 9])])),
      option(9, Buffer.concat([text('disk'), u32(0xffffffff)])),
      option(10, Buffer.concat([context, Buffer.from('more')])),
    ]
    for (const one of wrong) {
      const { told } = talk(Buffer.concat([u32(3), option(8), one]))
      assert.equal(told.readUInt32BE(18 + 20 + 12), 2 ** 31 + 3)
    }
  })

  it('survives any bytes, and never wants more than an option may have', () => {
    const numbers = oneof(nat({ max: 12 }), nat())
    const words = oneof(
      uint8Array({ maxLength: 40 }),
      constantFrom(context, go.subarray(16), text('disk')),
    )
    const options = array(record({ number: numbers, data: words, lie: nat({ max: 3 }) }))
    check(
      property(options, uint8Array(), nat({ max: 7 }), (options, tail, flags) => {
        const said = options.map(({ number, data, lie }) => {
          const bytes = option(number, data)
          if (lie === 3) bytes.writeUInt32BE(data.length * 3, 12)
          return bytes
        })
        const { most } = talk(Buffer.concat([u32(flags), ...said, tail]))
        assert.ok(most <= 64 * KiB)
      }),
      { numRuns: 1000 },
    )
  })
})

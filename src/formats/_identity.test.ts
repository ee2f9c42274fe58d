import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { asGuid, numberFor, uuidFor, uuidText } from './_identity.ts'

const UUID = 'b6a88e05-d086-853e-8fd1-0adcc40c8d23'
const NUMBER = 3_064_499_717

describe('ids', () => {
  it('follow from purpose and content, on every machine', () => {
    // What is written here may only change together with the version of every format.
    assert.equal(uuidText(uuidFor('disk', 'golden')), UUID)
    assert.equal(numberFor('disk', 'golden'), NUMBER)
    assert.notEqual(uuidText(uuidFor('disk', 'other')), UUID)
    assert.notEqual(uuidText(uuidFor('other', 'golden')), UUID)
  })

  it('are UUIDs of version 8', () => {
    assert.match(
      uuidText(uuidFor('disk', 'another')),
      /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    )
  })

  it('are turned around as Microsoft stores them', () => {
    const guid = '33221100554477668899aabbccddeeff'
    assert.equal(asGuid('00112233-4455-6677-8899-aabbccddeeff').toString('hex'), guid)
    const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex')
    assert.equal(asGuid(uuid).toString('hex'), guid)
    assert.equal(uuid[0], 0, 'the UUID itself stays as it is')
  })
})

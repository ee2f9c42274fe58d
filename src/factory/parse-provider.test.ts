import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { parseProvider } from './parse-provider.ts'

describe('a provider', () => {
  it('is JSON, as text or as an object', () => {
    const wanted = { username: 'me', password: 'secret' }
    assert.deepEqual(parseProvider(JSON.stringify(wanted), 'credentials'), wanted)
    assert.deepEqual(parseProvider(wanted, 'credentials'), wanted)
    assert.deepEqual(parseProvider({ openstack_credentials: wanted }, 'credentials'), wanted)
  })

  it("is Image Factory's XML: elements are flat, attributes count too", () => {
    const credentials = `<provider_credentials><openstack_credentials>
      <username>me</username><password> a&amp;b </password><token/></openstack_credentials></provider_credentials>`
    assert.deepEqual(parseProvider(credentials, 'credentials'), {
      username: 'me',
      password: 'a&b',
      token: '',
    })
    const definition = '<provider name="here" glance-host="glance.example" glance-port="9292"/>'
    assert.deepEqual(parseProvider(definition, 'definition'), {
      name: 'here',
      'glance-host': 'glance.example',
      'glance-port': '9292',
    })
  })

  it('is refused if it is neither, too large, of a document type, or says a thing twice', () => {
    const bad: unknown[] = [
      '',
      'nonsense',
      '[]',
      '7',
      null,
      7,
      '<a><b></a>',
      '<a><b>1</b><b>2</b></a>',
      '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
      '<a>&b;</a>',
      `{"a":"${'x'.repeat(300_000)}"}`,
      '<a>'.repeat(1000),
    ]
    for (const one of bad)
      assert.throws(() => parseProvider(one, 'credentials'), failsWith('REQUEST_INVALID'))
  })

  it('never tells what is in it', () => {
    for (const text of ['{"password":"very-secret"', '<a><password>very-secret</a>'])
      assert.throws(
        () => parseProvider(text, 'credentials'),
        (error: Error) => !error.message.includes('secret'),
      )
  })

  it('is an object or a Failure, whatever is given', () => {
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.string({ unit: fc.constantFrom('<', '>', 'a', '/', '=', '"', '&', ';', ' ', '!', '-') }),
    )
    fc.assert(
      fc.property(text, (given) => {
        try {
          assert.equal(typeof parseProvider(given, 'definition'), 'object')
        } catch (error) {
          assert.ok(isFailure(error, 'REQUEST_INVALID'), String(error))
        }
      }),
    )
  })
})

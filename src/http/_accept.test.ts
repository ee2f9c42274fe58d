import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { array, assert as check, constantFrom, property, string, tuple } from 'fast-check'
import { chooseMediaType } from './_accept.ts'

const OFFERS = ['text/html', 'application/json', 'text/plain']

describe('the media type of an answer', () => {
  it('is the one that the client likes best', () => {
    const wanted: Readonly<Record<string, string | undefined>> = {
      'application/json': 'application/json',
      'text/html;q=0.2, application/json;q=0.9': 'application/json',
      'application/json;q=0.1, */*': 'text/html',
      'text/*;q=0.3, text/plain': 'text/plain',
      'APPLICATION/JSON ; Q=0.5': 'application/json',
      'text/html;q=0, */*': 'application/json',
      'application/json;q=nonsense, text/plain;q=0.1': 'text/plain',
      'image/png': undefined,
      '': undefined,
      ',,;': undefined,
    }
    for (const [accept, type] of Object.entries(wanted))
      assert.equal(chooseMediaType(accept, OFFERS), type, accept)
  })

  it('is the first that is offered for those who take anything or say nothing', () => {
    assert.equal(chooseMediaType(undefined, OFFERS), 'text/html')
    assert.equal(chooseMediaType('*/*', OFFERS), 'text/html')
  })

  it('is one of those that are offered, or none, whatever is said', () => {
    const range = constantFrom(...OFFERS, '*/*', 'text/*', 'image/png')
    const weight = constantFrom('', ';q=1', ';q=0.5', ';q=0', ';q=2', ';q')
    const sound = array(tuple(range, weight).map((pair) => pair.join(''))).map((all) =>
      all.join(','),
    )
    check(
      property(sound, string(), (header, nonsense) => {
        for (const accept of [header, nonsense, header + nonsense]) {
          const chosen = chooseMediaType(accept, OFFERS)
          assert.ok(chosen === undefined || OFFERS.includes(chosen))
        }
      }),
    )
  })
})

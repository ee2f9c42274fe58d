import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { failsWith } from '../../testing/fails-with.ts'
import { SeenNonces } from './_seen-nonces.ts'
import { openOAuthVerifier, type Parameter, sign, toBaseString } from './oauth1.ts'

const AT_S = 1_700_000_000
const CLIENTS = { key: 's&cret/ü' }
const ASKED = 'http://images.test:8075/imagefactory/base_images?b=2&a=x%20y&a=1'

const encode = (text: string) =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )

interface Wish {
  readonly method?: string
  readonly url?: string
  readonly secret?: string
  readonly form?: readonly Parameter[]
  readonly protocol?: Readonly<Record<string, string>>
}

/** A request as a client of ours would sign it. */
function signed({ method = 'POST', url = ASKED, secret = CLIENTS.key, form, protocol }: Wish = {}) {
  const own = {
    oauth_consumer_key: 'key',
    oauth_signature_method: 'HMAC-SHA1',
    oauth_timestamp: String(AT_S),
    oauth_nonce: 'once',
    ...protocol,
  }
  const query = [...new URL(url).searchParams]
  const base = toBaseString(method, url, [...Object.entries(own), ...query, ...(form ?? [])])
  const fields = { ...own, oauth_signature: sign(base, secret) }
  const pairs = Object.entries(fields).map(([name, value]) => `${name}="${encode(value)}"`)
  return { method, url, authorization: `OAuth realm="x", ${pairs.join(', ')}`, form }
}

/** Parameters of the client of section 1.2. */
const photos = (own: Readonly<Record<string, string>>): Parameter[] =>
  Object.entries({
    oauth_consumer_key: 'dpf43f3p2l4k3l03',
    oauth_signature_method: 'HMAC-SHA1',
    ...own,
  })

const baseUriIn = (url: string) => toBaseString('GET', url, []).split('&')[1]

const open = () => openOAuthVerifier(CLIENTS, () => new Date(AT_S * 1000))
const refused = failsWith('UNAUTHENTICATED')

describe('what is signed (RFC 5849)', () => {
  it('is the text that section 3.4.1.1 shows', () => {
    const url = 'http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b'
    const header: Parameter[] = [
      ['oauth_consumer_key', '9djdj82h48djs9d2'],
      ['oauth_token', 'kkk9d7dh3k39sjv7'],
      ['oauth_signature_method', 'HMAC-SHA1'],
      ['oauth_timestamp', '137131201'],
      ['oauth_nonce', '7d8f3e4a'],
      ['oauth_signature', 'left out'],
    ]
    const form = [...new URLSearchParams('c2&a3=2+q')]
    assert.equal(
      toBaseString('post', url, [...header, ...new URL(url).searchParams, ...form]),
      'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
    )
  })

  it('leaves out ports that are meant anyway, and no others (section 3.4.1.2)', () => {
    assert.equal(
      baseUriIn('http://EXAMPLE.COM:80/r%20v/X?id=123'),
      encode('http://example.com/r%20v/X'),
    )
    assert.equal(
      baseUriIn('https://www.example.net:8080/?q=1'),
      encode('https://www.example.net:8080/'),
    )
    assert.equal(baseUriIn('https://www.example.net'), encode('https://www.example.net/'))
  })

  it('gives the signatures of section 1.2', () => {
    const initiate = photos({
      oauth_timestamp: '137131200',
      oauth_nonce: 'wIjqoS',
      oauth_callback: 'http://printer.example.com/ready',
    })
    const base = toBaseString('POST', 'https://photos.example.net/initiate', initiate)
    assert.equal(sign(base, 'kd94hf93k423kf44'), '74KNZJeDHnMBp0EMJ9ZHt/XKycU=')
    const photo = photos({
      oauth_token: 'nnch734d00sl2jdk',
      oauth_timestamp: '137131202',
      oauth_nonce: 'chapoH',
      file: 'vacation.jpg',
      size: 'original',
    })
    const asked = toBaseString('GET', 'http://photos.example.net/photos', photo)
    assert.equal(
      sign(asked, 'kd94hf93k423kf44', 'pfkkdhi9sl3r4s00'),
      'MdpQcU8iPSUjWoN/UDMsK2sui9I=',
    )
  })
})

describe('a signed request', () => {
  it('is taken, and says whose it is', () => {
    assert.equal(open().verify(signed()), 'key')
    const form: Parameter[] = [['template', '<template/> & more']]
    assert.equal(open().verify(signed({ form })), 'key')
    assert.equal(
      open().verify(signed({ protocol: { oauth_version: '1.0', oauth_token: '' } })),
      'key',
    )
  })

  it('may have its parameters in the query', () => {
    const { url, authorization } = signed({ url: 'http://h/imagefactory' })
    const pairs = [...authorization.matchAll(/(oauth_\w+)="([^"]*)"/g)].map(
      ([, n, v]) => `${n}=${v}`,
    )
    const asked = { method: 'POST', url: `${url}?${pairs.join('&')}`, authorization: undefined }
    assert.equal(open().verify(asked), 'key')
  })

  it('is refused when anything of it was changed', () => {
    const good = signed({ form: [['a', 'b']] })
    for (const changed of [
      { ...good, method: 'DELETE' },
      { ...good, url: `${ASKED}&more=1` },
      { ...good, url: ASKED.replace('8075', '8076') },
      { ...good, form: [['a', 'c']] as const },
      { ...good, form: undefined },
      { ...good, authorization: good.authorization.replace('once', 'twice') },
    ])
      assert.throws(() => open().verify(changed), refused)
  })

  it('is refused by another secret, an unknown key, another method, another version, with a token', () => {
    for (const wish of [
      { secret: 'other' },
      { protocol: { oauth_consumer_key: 'nobody' } },
      { protocol: { oauth_consumer_key: 'toString' } },
      { protocol: { oauth_signature_method: 'PLAINTEXT' } },
      { protocol: { oauth_version: '2.0' } },
      { protocol: { oauth_token: 'some' } },
      { protocol: { oauth_timestamp: '-5' } },
      { protocol: { oauth_nonce: '' } },
    ])
      assert.throws(() => open().verify(signed(wish)), refused, JSON.stringify(wish))
  })

  it('is refused the second time, too early and too late', () => {
    const verifier = open()
    verifier.verify(signed())
    assert.throws(() => verifier.verify(signed()), refused)
    for (const [off, isTaken] of [
      [-300, true],
      [300, true],
      [-301, false],
      [301, false],
    ] as const) {
      const asked = signed({ protocol: { oauth_timestamp: String(AT_S + off) } })
      if (isTaken) assert.equal(open().verify(asked), 'key')
      else assert.throws(() => open().verify(asked), refused)
    }
  })

  it('without a header, or with nonsense for one, is refused and no bug', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.string().map((text) => `OAuth ${text}`),
      fc.string().map((text) => `OAuth oauth_nonce="${text}"`),
    )
    const verifier = open()
    fc.assert(
      fc.property(fc.option(texts, { nil: undefined }), (authorization) => {
        assert.throws(() => verifier.verify({ method: 'GET', url: ASKED, authorization }), refused)
      }),
    )
  })
})

describe('nonces that were used', () => {
  it('are never taken twice, also where too many come to be remembered', () => {
    const uses = fc.array(fc.tuple(fc.nat(5), fc.nat(9)), { maxLength: 200 })
    fc.assert(
      fc.property(uses, fc.integer({ min: 1, max: 20 }), (given, most) => {
        const seen = new SeenNonces(most)
        const taken = new Set<string>()
        for (const [nonce, time] of given) {
          if (!seen.add(String(nonce), time, 0)) continue
          assert.ok(!taken.has(`${nonce} ${time}`))
          taken.add(`${nonce} ${time}`)
        }
      }),
    )
  })
})

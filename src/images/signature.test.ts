import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import * as fc from 'fast-check'
import { runTool } from '../base/process.ts'
import { failsWith } from '../testing/fails-with.ts'
import { makeSigner } from '../testing/signer.ts'
import { tempDir } from '../testing/temp-dir.ts'
import {
  findSigner,
  isSameSignature,
  SignatureCheck,
  signatureOf,
  type Signer,
} from './signature.ts'

const directory = (await tempDir())('')
const DATA = Buffer.from('what was signed, in pieces that are not those it was signed in')
const ASKER = { projectId: 'p' }

async function* inPieces(data: Uint8Array, size = 7): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}

async function check(signer: Signer, data: Uint8Array, take = Infinity): Promise<void> {
  const verification = new SignatureCheck('image X', signer)
  let taken = 0
  for await (const _ of verification.hear(inPieces(data))) if (++taken >= take) break
  verification.demand()
}

describe('a signature of image data', () => {
  for (const [keyType, hash] of [
    ['RSA-PSS', 'SHA-224'],
    ['RSA-PSS', 'SHA-256'],
    ['RSA-PSS', 'SHA-512'],
    ['ECC_SECP384R1', 'SHA-384'],
    ['ECC_SECP521R1', 'SHA-512'],
    ['ECC_SECT571R1', 'SHA-256'],
  ] as const)
    it(`by OpenSSL holds for the data and for no other: ${keyType}, ${hash}`, async () => {
      const one = await makeSigner(directory, keyType)
      const signer = await findSigner(
        await one.sign(DATA, hash),
        ASKER,
        async () => one.certificate,
      )
      assert.ok(signer)
      await check(signer, DATA)
      const other = Buffer.from(DATA)
      other.writeUInt8(other.readUInt8(20) ^ 1, 20)
      for (const wrong of [other, DATA.subarray(1), Buffer.alloc(0)])
        await assert.rejects(check(signer, wrong), failsWith('SIGNATURE_INVALID', /image X/))
    })

  it('does not hold for data of which only a part was heard', async () => {
    const one = await makeSigner(directory)
    const properties = await one.sign(DATA.subarray(0, 14))
    const signer = await findSigner(properties, ASKER, async () => one.certificate)
    assert.ok(signer)
    await assert.rejects(check(signer, DATA, 2), failsWith('SIGNATURE_INVALID'))
  })

  it('is verified with the certificate that is named, in PEM or DER', async () => {
    const one = await makeSigner(directory)
    const properties = await one.sign(DATA)
    const pem = `${directory}/${one.certificateId}.pem`
    const der = await runTool(['openssl', 'x509', '-in', pem, '-outform', 'DER'])
    const asked: unknown[] = []
    const signer = await findSigner(properties, ASKER, async (...given) => {
      asked.push(given)
      return der
    })
    assert.deepEqual(asked, [[one.certificateId, ASKER]])
    assert.ok(signer)
    await check(signer, DATA)
  })

  it('needs its certificate, and one of the kind that the image says', async () => {
    const [one, curve] = await Promise.all([
      makeSigner(directory),
      makeSigner(directory, 'ECC_SECP384R1'),
    ])
    const properties = await one.sign(DATA)
    const found = (bytes: Uint8Array | undefined) =>
      findSigner(properties, ASKER, async () => bytes)
    await assert.rejects(found(undefined), failsWith('CERTIFICATE_NOT_FOUND', /no certificate/))
    await assert.rejects(found(Buffer.from('no')), failsWith('SIGNATURE_INVALID', /PEM or DER/))
    await assert.rejects(found(curve.certificate), failsWith('SIGNATURE_INVALID', /secp384r1/))
  })
})

describe('signatureOf', () => {
  const WHOLE = {
    img_signature: 'AAAA',
    img_signature_hash_method: 'SHA-256',
    img_signature_key_type: 'RSA-PSS',
    img_signature_certificate_uuid: '3b6f0ab8-55a1-4a6b-9d1c-0d4f5f1f0c11',
  }

  it('knows no signature unless all four properties are there', () => {
    for (const missing of Object.keys(WHOLE)) {
      const others = Object.entries(WHOLE).filter(([name]) => name !== missing)
      assert.equal(signatureOf(Object.fromEntries(others)), undefined, missing)
    }
    assert.equal(signatureOf(WHOLE)?.hash, 'sha256')
  })

  it('takes base64 that is wrapped, as tools print it', () => {
    assert.equal(signatureOf({ ...WHOLE, img_signature: 'AAAA\nBBBB\n' })?.value, 'AAAABBBB')
  })

  it('says which property cannot be, and what is wanted', () => {
    for (const [name, value, wanted] of [
      ['img_signature', 'not base64!', /img_signature: wanted base64/],
      ['img_signature', '', /wanted base64/],
      ['img_signature_hash_method', 'MD5', /wanted SHA-224, SHA-256/],
      ['img_signature_key_type', '__proto__', /wanted RSA-PSS, DSA/],
      ['img_signature_certificate_uuid', '../../etc/passwd', /wanted a UUID/],
    ] as const)
      assert.throws(
        () => signatureOf({ ...WHOLE, [name]: value }),
        failsWith('SIGNATURE_INVALID', wanted),
      )
  })

  test('whatever the properties are, it reads them or says what is wrong', () => {
    const text = fc.oneof(fc.string(), fc.constantFrom(...Object.values(WHOLE), 'constructor'))
    fc.assert(
      fc.property(fc.record(mapValues(WHOLE, () => text)), (properties) => {
        try {
          const found = signatureOf(properties)
          assert.ok(isSameSignature(found, signatureOf(properties)))
        } catch (error) {
          assert.ok(failsWith('SIGNATURE_INVALID')(error), String(error))
        }
      }),
    )
  })
})

function mapValues<T>(record: Record<string, unknown>, value: () => T): Record<string, T> {
  return Object.fromEntries(Object.keys(record).map((name) => [name, value()]))
}

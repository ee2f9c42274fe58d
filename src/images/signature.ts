/**
 * Signed images. An image whose four `img_signature…` properties say who signed its data takes only data that was signed
 * so: what arrives is verified, before anything is made of it, with the certificate that the properties name.
 * Source: the properties of Glance's image signing, its key types and messages; X.509 for certificates.
 */
import { constants, createVerify, type KeyObject, X509Certificate } from 'node:crypto'
import { Failure, messageOf } from '../base/failure.ts'

/** What an image says of the signature of its data. */
export interface Signature {
  /** Under which the certificate is kept: a UUID. */
  readonly certificateId: string
  /** Node's name of the hash: `sha256`. */
  readonly hash: string
  /** `RSA-PSS`, `DSA`, `ECC_SECP384R1`… */
  readonly keyType: string
  /** In base64, as the image has it. */
  readonly value: string
}

/** A signature, and whose it has to be. Plain values, so that it can be kept until an import is done. */
export interface Signer {
  readonly signature: Signature
  /** X.509, in PEM. */
  readonly certificate: string
}

/** Who asks for a certificate: whose keys a key manager shows depends on it. */
export interface CertificateAsker {
  readonly token?: string | undefined
  readonly projectId: string | null
}

/**
 * A certificate by its id, in PEM or DER; undefined: there is none.
 * Fails with what a key manager fails with.
 */
export type FindCertificate = (
  id: string,
  asker: CertificateAsker,
) => Promise<Uint8Array | undefined>

const UUID = /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

const HASHES: Readonly<Record<string, string>> = {
  'SHA-224': 'sha224',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
}

/** Kinds of public keys that a key type stands for, and the curve of those that have one. */
const KEY_TYPES: Readonly<Record<string, { readonly keys: readonly string[]; curve?: string }>> = {
  'RSA-PSS': { keys: ['rsa', 'rsa-pss'] },
  DSA: { keys: ['dsa'] },
  ECC_SECT571K1: { keys: ['ec'], curve: 'sect571k1' },
  ECC_SECT409K1: { keys: ['ec'], curve: 'sect409k1' },
  ECC_SECT571R1: { keys: ['ec'], curve: 'sect571r1' },
  ECC_SECT409R1: { keys: ['ec'], curve: 'sect409r1' },
  ECC_SECP521R1: { keys: ['ec'], curve: 'secp521r1' },
  ECC_SECP384R1: { keys: ['ec'], curve: 'secp384r1' },
}

/**
 * The signature that an image speaks of; undefined unless all four properties are there.
 * Fails with SIGNATURE_INVALID when they cannot mean anything.
 */
export function signatureOf(properties: Readonly<Record<string, string>>): Signature | undefined {
  const {
    img_signature: given,
    img_signature_hash_method: method,
    img_signature_key_type: keyType,
    img_signature_certificate_uuid: certificateId,
  } = properties
  if (given === undefined || method === undefined) return undefined
  if (keyType === undefined || certificateId === undefined) return undefined
  const value = given.replaceAll(/\s/g, '') // base64 as `base64` and openssl wrap it
  const hash = Object.hasOwn(HASHES, method) ? HASHES[method] : undefined
  if (hash === undefined)
    throw wrong('img_signature_hash_method', method, Object.keys(HASHES).join(', '))
  if (!Object.hasOwn(KEY_TYPES, keyType))
    throw wrong('img_signature_key_type', keyType, Object.keys(KEY_TYPES).join(', '))
  if (value === '' || !BASE64.test(value)) throw wrong('img_signature', given, 'base64')
  if (!UUID.test(certificateId))
    throw wrong('img_signature_certificate_uuid', certificateId, 'a UUID')
  return { certificateId, hash, keyType, value }
}

/**
 * Who must have signed the data of an image; undefined when it does not say that it is signed.
 * Fails with SIGNATURE_INVALID (properties, certificate), CERTIFICATE_NOT_FOUND, and as `find` does.
 */
export async function findSigner(
  properties: Readonly<Record<string, string>>,
  asker: CertificateAsker,
  find: FindCertificate,
): Promise<Signer | undefined> {
  const signature = signatureOf(properties)
  if (signature === undefined) return undefined
  const { certificateId: id } = signature
  const bytes = await find(id, asker)
  if (bytes === undefined)
    throw new Failure(
      'CERTIFICATE_NOT_FOUND',
      `the image is signed, and there is no certificate ${id} to verify it with`,
      { details: { id } },
    )
  const certificate = parseCertificate(id, bytes)
  publicKeyOf({ signature, certificate }) // told now, not when all data has come
  return { signature, certificate }
}

/** What is heard of data as it arrives, and decided at its end. */
export class SignatureCheck {
  readonly #name: string
  readonly #signer: Signer
  readonly #verify: ReturnType<typeof createVerify>
  #isWhole = false

  /** `name`: what failures call the data. */
  constructor(name: string, signer: Signer) {
    this.#name = name
    this.#signer = signer
    this.#verify = createVerify(signer.signature.hash)
  }

  /** The same chunks; hears them. */
  async *hear(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.#verify.update(chunk)
      yield chunk
    }
    this.#isWhole = true
  }

  /** Fails with SIGNATURE_INVALID unless all was heard, and was signed so. */
  demand(): void {
    const { signature } = this.#signer
    const key = publicKeyOf(this.#signer)
    const padding =
      signature.keyType === 'RSA-PSS'
        ? {
            padding: constants.RSA_PKCS1_PSS_PADDING,
            saltLength: constants.RSA_PSS_SALTLEN_AUTO,
          }
        : {}
    const isTrue =
      this.#isWhole && this.#verify.verify({ key, ...padding }, signature.value, 'base64')
    if (isTrue) return
    const { certificateId: id } = signature
    throw new Failure(
      'SIGNATURE_INVALID',
      `${this.#name} has other data than what certificate ${id} has signed`,
      { details: { certificate: id } },
    )
  }
}

/** Two signers of whom one answers for the other: what was verified by one need not be by the other. */
export function isSameSignature(one: Signature | undefined, other: Signature | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return (
    one.certificateId === other.certificateId &&
    one.hash === other.hash &&
    one.keyType === other.keyType &&
    one.value === other.value
  )
}

function parseCertificate(id: string, bytes: Uint8Array): string {
  try {
    return new X509Certificate(bytes).toString()
  } catch (cause) {
    const text = `certificate ${id}: wanted X.509 in PEM or DER: ${messageOf(cause)}`
    throw new Failure('SIGNATURE_INVALID', text, { details: { certificate: id }, cause })
  }
}

/** Fails with SIGNATURE_INVALID when the certificate is of another kind than the image says. */
function publicKeyOf({ signature, certificate }: Signer): KeyObject {
  const { keyType, certificateId: id } = signature
  const { publicKey } = new X509Certificate(certificate)
  const { asymmetricKeyType: kind = '', asymmetricKeyDetails: { namedCurve } = {} } = publicKey
  const wanted = KEY_TYPES[keyType]
  if (wanted?.keys.includes(kind) && (wanted.curve === undefined || wanted.curve === namedCurve))
    return publicKey
  const found = namedCurve === undefined ? kind : `${kind} on ${namedCurve}`
  throw new Failure(
    'SIGNATURE_INVALID',
    `the image is signed with a key of type ${keyType}, and certificate ${id} is of one of type ${found}`,
    { details: { certificate: id, keyType, found } },
  )
}

function wrong(property: string, found: string, wanted: string): Failure {
  const shown = JSON.stringify(found.length > 80 ? `${found.slice(0, 80)}…` : found)
  return new Failure('SIGNATURE_INVALID', `${property}: wanted ${wanted}, found ${shown}`, {
    details: { property },
  })
}

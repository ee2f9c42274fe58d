/** Somebody who signs images: a key and its certificate, made and used by OpenSSL. */
import { randomUUID } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool } from '../base/process.ts'

export interface TestSigner {
  /** A UUID. */
  readonly certificateId: string
  /** PEM. */
  readonly certificate: Uint8Array
  /** The properties of an image with this data. */
  sign(data: Uint8Array, hash?: string): Promise<Record<string, string>>
}

/** How OpenSSL makes a key of a type that images name. */
const NEW_KEYS: Readonly<Record<string, readonly string[]>> = {
  'RSA-PSS': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  ECC_SECP384R1: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp384r1'],
  ECC_SECP521R1: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp521r1'],
  ECC_SECT571R1: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:sect571r1'],
}

/** Makes a key and its certificate in a directory: `ID.pem`. */
export async function makeSigner(
  directory: string,
  keyType = 'RSA-PSS',
  certificateId: string = randomUUID(),
): Promise<TestSigner> {
  const at = (name: string) => join(directory, `${certificateId}.${name}`)
  await runTool(['openssl', 'genpkey', ...(NEW_KEYS[keyType] ?? []), '-out', at('key')])
  await runTool(
    [
      'openssl',
      'req',
      '-x509',
      '-new',
      '-key',
      at('key'),
      '-subj',
      '/CN=signer',
      '-days',
      '2',
    ].concat(['-out', at('pem')]),
  )
  return {
    certificateId,
    certificate: await readFile(at('pem')),
    sign: async (data, hash = 'SHA-256') => {
      await writeFile(at('data'), data)
      const padding = keyType === 'RSA-PSS' ? ['-sigopt', 'rsa_padding_mode:pss'] : []
      const digest = `-${hash.replace('-', '').toLowerCase()}`
      const signature = await runTool(
        ['openssl', 'dgst', digest, '-sign', at('key'), ...padding].concat(at('data')),
      )
      return {
        img_signature: signature.toString('base64'),
        img_signature_hash_method: hash,
        img_signature_key_type: keyType,
        img_signature_certificate_uuid: certificateId,
      }
    },
  }
}

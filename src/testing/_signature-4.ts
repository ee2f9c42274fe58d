/** How Amazon's services know who asks, and that nobody has changed what is asked. For fakes that are strict about it. */
import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export interface Signer {
  readonly accessKey: string
  readonly secretKey: string
  readonly region: string
  readonly service: string
}

/**
 * What is wrong with the signature of a request, as Amazon calls it; undefined: nothing. Paths are taken as they are sent:
 * all but S3 encode them once more, which makes no difference to those without special characters.
 * Source: "Signature Version 4", the Authorization header.
 */
export function signatureFault(
  request: IncomingMessage,
  body: Buffer,
  signer: Signer,
): { readonly status: number; readonly name: string } | undefined {
  const parsed =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([a-z0-9]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? '',
    )
  if (!parsed) return { status: 403, name: 'AccessDenied' }
  const [, accessKey, day = '', region = '', service = '', signedHeaders = '', signature] = parsed
  if (accessKey !== signer.accessKey) return { status: 403, name: 'InvalidAccessKeyId' }
  if (region !== signer.region || service !== signer.service)
    return { status: 400, name: 'AuthorizationHeaderMalformed' }
  const time = String(request.headers['x-amz-date'])
  const content = String(request.headers['x-amz-content-sha256'] ?? sha256(body))
  if (content !== 'UNSIGNED-PAYLOAD' && content !== sha256(body))
    return { status: 400, name: 'XAmzContentSHA256Mismatch' }
  const scope = `${day}/${region}/${service}/aws4_request`
  const canonical = canonicalRequest(request, signedHeaders, content)
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  const key = [day, region, service, 'aws4_request'].reduce(
    (key, word) => createHmac('sha256', key).update(word).digest(),
    Buffer.from(`AWS4${signer.secretKey}`),
  )
  if (createHmac('sha256', key).update(toSign).digest('hex') !== signature)
    return { status: 403, name: 'SignatureDoesNotMatch' }
  return undefined
}

function canonicalRequest(
  request: IncomingMessage,
  signedHeaders: string,
  content: string,
): string {
  const [path = '', query = ''] = (request.url ?? '').split('?')
  return [
    request.method,
    path,
    query
      .split('&')
      .filter((pair) => pair !== '')
      .map((pair) => (pair.includes('=') ? pair : `${pair}=`))
      .toSorted()
      .join('&'),
    ...signedHeaders.split(';').map((name) => `${name}:${String(request.headers[name]).trim()}`),
    '',
    signedHeaders,
    content,
  ].join('\n')
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

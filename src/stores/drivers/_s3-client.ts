/** The S3 library, loaded when a store is opened: it is some hundred files. */
import { readFile } from 'node:fs/promises'
import { rootCertificates } from 'node:tls'
import type { S3Client } from '@aws-sdk/client-s3'
import { asFileFailure } from '../../base/failure.ts'

export type S3Library = typeof import('@aws-sdk/client-s3')

/** As the schema of the driver says. */
export interface S3Options {
  readonly endpoint?: string
  readonly region?: string
  readonly bucket: string
  readonly create_bucket?: boolean
  readonly access_key: string
  readonly secret_key: string
  readonly session_token?: string
  readonly path_style?: boolean
  readonly prefix?: string
  readonly part_size?: number
  readonly cacert?: string
  readonly insecure?: boolean
}

const CONNECTIONS = 64
const CONNECT_MS = 5_000
/** How long the server may be silent, also while it puts the parts of a large object together. */
const SILENCE_MS = 60_000
const ATTEMPTS = 4

export async function openS3Client(
  options: S3Options,
): Promise<{ library: S3Library; client: S3Client }> {
  const library = await import('@aws-sdk/client-s3')
  const { endpoint, access_key, secret_key, session_token } = options
  const agent = { keepAlive: true, maxSockets: CONNECTIONS }
  const client = new library.S3Client({
    region: options.region ?? 'us-east-1',
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: options.path_style ?? true,
    credentials: {
      accessKeyId: access_key,
      secretAccessKey: secret_key,
      ...(session_token !== undefined && { sessionToken: session_token }),
    },
    maxAttempts: ATTEMPTS,
    // Many servers refuse the newer headers of check sums; each part has its Content-MD5.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      httpAgent: agent,
      httpsAgent: { ...agent, ...(await trustOf(options)) },
    },
  })
  client.middlewareStack.add(leavePayloadUnsigned, { step: 'build', name: 'leavePayloadUnsigned' })
  return { library, client }
}

async function trustOf({ cacert, insecure = false }: S3Options): Promise<object> {
  const pem = cacert === undefined ? undefined : await readPem(cacert)
  return {
    rejectUnauthorized: !insecure,
    ...(pem !== undefined && { ca: [...rootCertificates, pem] }),
  }
}

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

/**
 * Content that has its MD5 in a signed header need not be hashed once more to be signed.
 * Source: "Signature calculations for the Authorization header", x-amz-content-sha256.
 */
const leavePayloadUnsigned =
  <Input, Output>(next: (args: { input: Input; request: unknown }) => Promise<Output>) =>
  (args: { input: Input; request: unknown }): Promise<Output> => {
    const { headers } = args.request as { headers: Record<string, string> }
    if ('content-md5' in headers || 'Content-MD5' in headers)
      headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'
    return next(args)
  }

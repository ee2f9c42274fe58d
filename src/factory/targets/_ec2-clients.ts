/** Clients of EC2 and of the EBS direct APIs, loaded when something is pushed, and what they say as Failures. */
import type { EBSClient } from '@aws-sdk/client-ebs'
import type { EC2Client } from '@aws-sdk/client-ec2'
import { Failure, type FailureCode, isFailure } from '../../base/failure.ts'
import type { Provider } from '../cloud-target.ts'
import type { Ec2Credentials, Ec2ProviderOptions } from './_ec2-schemas.ts'

export type Ec2Provider = Provider<Ec2ProviderOptions, Ec2Credentials>

export interface Ec2Clients extends Disposable {
  readonly ec2: EC2Client
  readonly ebs: EBSClient
  readonly ec2Library: typeof import('@aws-sdk/client-ec2')
  readonly ebsLibrary: typeof import('@aws-sdk/client-ebs')
}

const CONNECT_MS = 5_000
const SILENCE_MS = 60_000
/** Both services throttle who asks much; the library waits longer each time. */
const ATTEMPTS = 8

export async function openEc2(provider: Ec2Provider): Promise<Ec2Clients> {
  const [ec2Library, ebsLibrary] = await Promise.all([
    import('@aws-sdk/client-ec2'),
    import('@aws-sdk/client-ebs'),
  ])
  const { region, ec2_endpoint, ebs_endpoint, parallel = 32 } = provider.options
  const { access_key, secret_key, session_token } = provider.credentials
  const agent = { keepAlive: true, maxSockets: parallel }
  const shared = {
    region,
    credentials: {
      accessKeyId: access_key,
      secretAccessKey: secret_key,
      ...(session_token !== undefined && { sessionToken: session_token }),
    },
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: SILENCE_MS,
      httpAgent: agent,
      httpsAgent: agent,
    },
  }
  const ec2 = new ec2Library.EC2Client({ ...shared, ...endpointOf(ec2_endpoint) })
  const ebs = new ebsLibrary.EBSClient({ ...shared, ...endpointOf(ebs_endpoint) })
  return {
    ec2,
    ebs,
    ec2Library,
    ebsLibrary,
    [Symbol.dispose]: () => {
      ec2.destroy()
      ebs.destroy()
    },
  }
}

function endpointOf(endpoint: string | undefined): { endpoint?: string } {
  return endpoint === undefined ? {} : { endpoint }
}

const DENIED =
  /^(AuthFailure|UnauthorizedOperation|InvalidClientTokenId|UnrecognizedClient|SignatureDoesNotMatch|AccessDenied|ExpiredToken|OptInRequired|MissingAuthenticationToken|RequestExpired)/
const FULL = /(LimitExceeded|QuotaExceeded|InsufficientCapacity)/
const AWAY =
  /^(RequestLimitExceeded|Throttling|RequestThrottled|TimeoutError|Unavailable|ServiceUnavailable|InternalError|InternalServer)/

/** What Amazon refuses or its library fails with. Source: EC2, "Error codes for the Amazon EC2 API". */
export function ec2Failure(error: unknown, what: string): unknown {
  if (isFailure(error) || !(error instanceof Error)) return error
  if (error.name === 'AbortError')
    return new Failure('INTERRUPTED', `${what}: interrupted`, { cause: error })
  const { $metadata: { httpStatusCode: status = 0 } = {} } = error as Answered
  return new Failure(
    codeOf(error, status),
    `${what}: ${error.name}: ${error.message.slice(0, 500)}`,
    {
      details: { aws: error.name, status },
      cause: error,
    },
  )
}

function codeOf(error: Error, status: number): FailureCode {
  if (isGone(error)) return 'CLOUD_NOT_FOUND'
  if (AWAY.test(error.name) || status >= 500) return 'CLOUD_AWAY'
  if (DENIED.test(error.name) || status === 401) return 'CLOUD_DENIED'
  if (FULL.test(error.name)) return 'CLOUD_FULL'
  return status === 0 ? 'CLOUD_AWAY' : 'CLOUD_FAILED'
}

/** Whether it says that there is no such thing (any more). */
export function isGone(error: unknown): boolean {
  return (
    error instanceof Error &&
    /(\.NotFound|\.Unavailable|ResourceNotFoundException)$/.test(error.name)
  )
}

/** What `work` gives; what goes wrong in it is a Failure that says at what. */
export async function asking<Answer>(what: string, work: Promise<Answer>): Promise<Answer> {
  try {
    return await work
  } catch (error) {
    throw ec2Failure(error, what)
  }
}

interface Answered {
  readonly $metadata?: { readonly httpStatusCode?: number }
}

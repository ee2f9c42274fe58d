/**
 * The image service as tests want it: every part a real one, in a directory of its own, and callers that are told
 * apart by simple tokens. With `openTestServer` it listens, and is asked by `ask`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Authenticator, Policy } from '../access/caller.ts'
import { asCaller } from '../access/identity/_identity.ts'
import { withImpliedRoles } from '../access/identity/roles.ts'
import { type GivenRules, makePolicy } from '../access/policy.ts'
import { openService } from '../app/open-service.ts'
import type { Service } from '../app/service.ts'
import { type ServiceConfig, serviceDefaults } from '../app/service-config.ts'
import { type Context, makeContext } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { createServer } from '../http/server.ts'

/** Who a token stands for. */
export interface TestCaller {
  /** Null: its token is for none. */
  readonly project: string | null
  readonly roles: readonly string[]
}

/** Tokens are the names. */
const TEST_CALLERS = {
  admin: { project: 'p-admin', roles: ['admin'] },
  alice: { project: 'p-alice', roles: ['member'] },
  reader: { project: 'p-alice', roles: ['reader'] },
  bob: { project: 'p-bob', roles: ['member'] },
  carol: { project: 'p-carol', roles: ['member'] },
  nobody: { project: 'p-alice', roles: [] },
  service: { project: 'p-service', roles: ['service'] },
} as const satisfies Record<string, TestCaller>

/** Settings, section by section; what is left out is as by default, with two stores in memory. */
export type TestConfig = {
  readonly [Section in keyof ServiceConfig]?: Partial<ServiceConfig[Section]>
}

export interface TestServiceOptions {
  readonly config?: TestConfig
  readonly callers?: Readonly<Record<string, TestCaller>>
  /** In place of the default rules of the same names. */
  readonly rules?: GivenRules
  readonly context?: Partial<Context>
}

export async function openTestService(options: TestServiceOptions = {}): Promise<Service> {
  await using opened = new AsyncDisposableStack()
  const dataDir = await mkdtemp(join(tmpdir(), 'ingot-service-'))
  opened.defer(() => rm(dataDir, { recursive: true, force: true }))
  const callers = { ...TEST_CALLERS, ...options.callers }
  const service = opened.use(
    await openService(configOf(dataDir, options.config), makeContext(options.context), {
      role: 'command',
      policy: makePolicy(options.rules),
      openAuthenticator: (policy) => openTestAuthenticator(callers, policy),
    }),
  )
  const closing = opened.move()
  return { ...service, [Symbol.asyncDispose]: () => closing.disposeAsync() }
}

function configOf(dataDir: string, given: TestConfig = {}): ServiceConfig {
  const defaults = {
    ...serviceDefaults(dataDir),
    stores: {
      default: 'fast',
      list: [
        { id: 'fast', type: 'memory' },
        { id: 'slow', type: 'memory' },
      ],
    },
  }
  const sections = Object.entries(defaults).map(([name, section]) => {
    const usual: unknown = section
    const own: unknown = given[name as keyof TestConfig]
    return [name, isSection(usual) && isSection(own) ? { ...usual, ...own } : (own ?? usual)]
  })
  return { ...given, ...Object.fromEntries(sections) } as ServiceConfig
}

function isSection(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Takes the names of callers for tokens. */
function openTestAuthenticator(
  callers: Readonly<Record<string, TestCaller>>,
  policy: Policy,
): Authenticator {
  const find = (token: string | undefined) => {
    const caller = token !== undefined && Object.hasOwn(callers, token) ? callers[token] : undefined
    if (caller === undefined) throw new Failure('UNAUTHENTICATED', 'the token is not valid')
    return { projectId: caller.project, roles: withImpliedRoles(caller.roles), userId: token ?? '' }
  }
  return {
    mode: 'token',
    challenge: 'Keystone uri="http://keystone.test/v3"',
    authenticate: (credentials) => {
      const { token, serviceToken } = credentials
      const serviceRoles = serviceToken === undefined ? [] : find(serviceToken).roles
      return asCaller(find(token), serviceRoles, credentials, policy)
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

/** A question, and who asks it: admin unless said otherwise; null: nobody. */
export interface Question {
  readonly as?: string | null
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
  /** The body, parsed; undefined if it is no JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look at what they expect
  readonly json: any
}

export interface TestServer extends AsyncDisposable {
  readonly service: Service
  readonly app: FastifyInstance
  /** `http://127.0.0.1:PORT`. */
  readonly url: string
  readonly port: number
  /**
   * Asks over a socket: `ask('POST /v2/images', { as: 'alice', body: {} })`. A body that is no text or bytes is sent as
   * JSON; of a patch it is the array.
   */
  ask(line: string, question?: Question): Promise<Answer>
}

export async function openTestServer(options: TestServiceOptions = {}): Promise<TestServer> {
  const service = await openTestService(options)
  const app = createServer(service)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true })
  return {
    service,
    app,
    url,
    port,
    ask: (line, question) => ask(url, agent, line, question),
    [Symbol.asyncDispose]: async () => {
      agent.destroy()
      await app.close()
      await service[Symbol.asyncDispose]()
    },
  }
}

const JSON_PATCH = 'application/openstack-images-v2.1-json-patch'

async function ask(
  url: string,
  agent: Agent,
  line: string,
  { as = 'admin', body, headers = {} }: Question = {},
): Promise<Answer> {
  const [method = 'GET', path = '/'] = line.split(' ')
  const isRaw = typeof body === 'string' || body instanceof Uint8Array
  const bytes = body === undefined ? undefined : Buffer.from(isRaw ? body : JSON.stringify(body))
  const sent = {
    accept: 'application/json',
    ...(as !== null && { 'x-auth-token': as }),
    ...(bytes && {
      'content-length': String(bytes.length),
      'content-type': method === 'PATCH' ? JSON_PATCH : 'application/json',
    }),
    ...headers,
  }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request(`${url}${path}`, { method, headers: sent, agent })
    asked.on('response', resolve).on('error', reject)
    asked.end(bytes)
  })
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part as Buffer)
  const text = Buffer.concat(parts).toString()
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: parse(text) }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

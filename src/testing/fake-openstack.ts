/**
 * A small OpenStack in this process: compute, network, image and volume services behind a small Keystone. It checks what it
 * is sent as the real ones do, does everything at once, and can be told to refuse, to be slow with tokens, to lose answers.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { OsCloud } from '../clouds/os-config.ts'
import { glanceRoutes } from './_fake-glance.ts'
import { cinderRoutes } from './_fake-cinder.ts'
import { neutronRoutes } from './_fake-neutron.ts'
import { novaRoutes } from './_fake-nova.ts'
import {
  type Asked,
  type FakeState,
  newState,
  Refusal,
  type Replied,
  type Route,
} from './_fake-openstack-state.ts'
import { openFakeKeystone } from './fake-keystone.ts'
import { listen } from './listen.ts'

/** What goes wrong with a request. */
export interface Fault {
  /** `POST /compute/v2.1/servers`; the path's beginning is enough. */
  readonly on: string | RegExp
  /** How often. Default once. */
  readonly times?: number
  /** What is answered; left out: the connection is cut. */
  readonly status?: number
  readonly body?: object | string
  readonly headers?: Readonly<Record<string, string>>
  /** It is done all the same: only the answer is lost. */
  readonly done?: boolean
  /** Called when it comes to it. */
  readonly onceAsked?: () => void
}

export interface FakeOpenStack extends AsyncDisposable {
  readonly state: FakeState
  /** `POST /compute/v2.1/servers`, without queries, in order. */
  readonly asked: readonly string[]
  /** For `openOpenStack`. */
  readonly cloud: OsCloud
  fail(fault: Fault): void
  /** All tokens that were given out are refused from now on. */
  revokeTokens(): void
  /** What is there that is not from the beginning: `server`, `port`, … by name. */
  leftovers(): string[]
}

export interface FakeOpenStackOptions {
  /** Whether there is a volume service. Default no. */
  readonly volumes?: boolean
  /** The newest microversion. Default 2.93. */
  readonly microversion?: string
}

const USER = { name: 'demo', password: 'not-shown', projects: { demo: ['member'] } }

export async function openFakeOpenStack(
  options: FakeOpenStackOptions = {},
): Promise<FakeOpenStack> {
  const keystone = await openFakeKeystone()
  keystone.addUser(USER)
  const project = keystone.projectId('demo')
  const state = newState(project, options.microversion ?? '2.93')
  const asked: string[] = []
  const faults: { fault: Fault; left: number }[] = []
  const routes: readonly Route[] = [
    ...novaRoutes(state),
    ...neutronRoutes(state),
    ...glanceRoutes(state),
    ...(options.volumes ? cinderRoutes(state) : []),
  ]
  const revoked = new Set<string>()
  const given = new Set<string>()

  const handle = async (request: Asked): Promise<Replied> => {
    for (const { method, path, answer } of routes) {
      const match = method === request.method ? path.exec(request.path) : null
      if (match) return await answer(request, match.slice(1))
    }
    throw new Refusal(404, 'there is nothing here')
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://cloud')
    const method = request.method ?? ''
    const line = `${method} ${pathname}`
    asked.push(line)
    const token = String(request.headers['x-auth-token'] ?? '')
    const plan = faults.find(
      ({ fault: { on }, left }) =>
        left > 0 && (typeof on === 'string' ? line.startsWith(on) : on.test(line)),
    )
    if (plan) plan.left -= 1
    plan?.fault.onceAsked?.()
    const body = await bodyOf(request)
    if (!plan || plan.fault.done) {
      const isOpen = method === 'GET' && /^\/compute\/(v2\.1\/)?$/.test(pathname)
      if (!isOpen) await checkToken(keystone.url, token, revoked, given)
      const { headers } = request
      const reply = await handle({
        method,
        path: pathname,
        query: searchParams,
        headers,
        body,
      }).catch((error: unknown) => {
        if (error instanceof Refusal) return { status: error.status, json: error.json(pathname) }
        throw error
      })
      if (!plan) return send(response, reply)
    }
    const { status, body: said, headers = {} } = plan.fault
    if (status === undefined) return void request.socket.destroy()
    const json = typeof said === 'string' ? { bytes: Buffer.from(said) } : { json: said ?? {} }
    return send(response, { status, headers, ...json })
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const status = error instanceof Refusal ? error.status : 500
      send(response, { status, json: { message: String(error) } })
    })
  })
  const url = await listen(server)
  state.url = url
  keystone.addService('compute', `${url}/compute/v2.1`)
  keystone.addService('network', `${url}/network`)
  keystone.addService('image', `${url}/image`)
  if (options.volumes) keystone.addService('block-storage', `${url}/volume/v3/${project}`)

  return {
    state,
    asked,
    cloud: {
      name: 'fake',
      region: undefined,
      interface: 'public',
      endpoints: {},
      cacert: undefined,
      insecure: false,
      auth: 'keystone',
      authUrl: keystone.url,
      credentials: { method: 'password', user: { name: USER.name }, password: USER.password },
      scope: { project: { name: 'demo' } },
    },
    fail: (fault) => void faults.push({ fault, left: fault.times ?? 1 }),
    revokeTokens: () => {
      for (const token of given) revoked.add(token)
    },
    leftovers: () => state.leftovers(),
    [Symbol.asyncDispose]: async () => {
      await keystone[Symbol.asyncDispose]()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

/** As Keystone's middleware in front of each service. */
async function checkToken(
  keystone: string,
  token: string,
  revoked: ReadonlySet<string>,
  given: Set<string>,
): Promise<void> {
  if (revoked.has(token))
    throw new Refusal(401, 'The request you have made requires authentication.')
  if (given.has(token)) return
  const headers = { 'x-auth-token': token, 'x-subject-token': token }
  const { status } = await fetch(`${keystone}/auth/tokens?nocatalog`, { headers })
  if (status !== 200) throw new Refusal(401, 'The request you have made requires authentication.')
  given.add(token)
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function send(response: ServerResponse, { status, json, bytes, headers = {} }: Replied): void {
  const type = bytes === undefined ? 'application/json' : 'application/octet-stream'
  const body = bytes ?? (json === undefined ? undefined : Buffer.from(JSON.stringify(json)))
  response.writeHead(status, {
    'content-type': type,
    ...(body && { 'content-length': String(body.length) }),
    ...headers,
  })
  response.end(body)
}

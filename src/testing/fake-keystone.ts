/**
 * A Keystone v3 in this process: users, projects, application credentials, tokens that end and can be revoked,
 * a catalogue, limits. It checks what it is sent as the real one does, and can be told to be away.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { CloudInterface } from '../clouds/cloud.ts'
import {
  header,
  isNamed,
  jsonOf,
  type Placed,
  placed,
  send,
  type WireAuth,
  wireTime,
} from './_fake-keystone-wire.ts'
import { endServer, listen } from './listen.ts'

export interface FakeUser {
  readonly name: string
  readonly password: string
  /** Name of its domain. Default `Default`. */
  readonly domain?: string
  /** Roles by the name of a project, which is made if there is none. */
  readonly projects?: Readonly<Record<string, readonly string[]>>
  /** Roles in the whole system. */
  readonly system?: readonly string[]
  /** Application credentials: name, secret, project. */
  readonly credentials?: readonly { name: string; secret: string; project: string }[]
}

export interface FakeKeystone extends AsyncDisposable {
  /** `http://127.0.0.1:PORT/v3`. */
  readonly url: string
  /** `GET /v3/auth/tokens` and so on, in order. */
  readonly asked: readonly string[]
  /** How long new tokens live. Default an hour. */
  tokenLifeMs: number
  /** `error`: every answer is 503; `silent`: none comes; `gone`: connections are cut. */
  away: 'no' | 'error' | 'silent' | 'gone'
  addUser(user: FakeUser): { readonly id: string; readonly credentialIds: readonly string[] }
  /** The id of a project, which is made if there is none. */
  projectId(name: string, domain?: string): string
  addService(
    type: string,
    url: string,
    where?: { region?: string; interfaces?: CloudInterface[] },
  ): string
  /** Without a project: the default of all projects. */
  setLimit(serviceType: string, resource: string, limit: number, project?: string): void
  /** A token of a user without asking for it over HTTP: for a project, the system, or unscoped. */
  issue(user: string, scope?: { project: string } | { system: true }): string
  revoke(token: string): void
}

interface Token {
  readonly user: Stored
  readonly scope: WireScope
  readonly method: string
  readonly issuedAt: Date
  readonly expiresAt: Date
}

interface Stored extends FakeUser {
  readonly id: string
  readonly domain: string
}

interface WireScope {
  project?: Placed
  system?: true
}

interface Limit {
  readonly id: string
  readonly service: string
  readonly resource: string
  readonly limit: number
  readonly project?: string
}

/** What roles bring with them, as Keystone's bootstrap sets it up. */
const IMPLIED: Readonly<Record<string, readonly string[]>> = {
  admin: ['manager', 'member', 'reader'],
  manager: ['member', 'reader'],
  member: ['reader'],
}

class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const UNAUTHORIZED = 'The request you have made requires authentication.'
const FORBIDDEN = 'You are not authorized to perform the requested action.'

/** Starts one on a free port of this host. `now`: for tokens that end when a test says so. */
export async function openFakeKeystone(now: () => Date = () => new Date()): Promise<FakeKeystone> {
  const asked: string[] = []
  const users: Stored[] = []
  const projects: Placed[] = []
  const tokens = new Map<string, Token>()
  const services: { id: string; type: string; endpoints: object[] }[] = []
  const limits: Limit[] = []
  const credentialIds = new Map<string, { user: Stored; name: string }>()

  const project = (name: string, domain = 'Default'): Placed => {
    const found = projects.find((one) => one.name === name && one.domain === domain)
    if (found) return found
    const made = { id: randomUUID().replaceAll('-', ''), name, domain }
    projects.push(made)
    return made
  }

  const issue = (user: Stored, scope: WireScope, method: string): string => {
    const id = `gAAAA${randomUUID().replaceAll('-', '')}${randomUUID().replaceAll('-', '')}`
    const issuedAt = now()
    const expiresAt = new Date(issuedAt.getTime() + keystone.tokenLifeMs)
    tokens.set(id, { user, scope, method, issuedAt, expiresAt })
    return id
  }
  const valid = (id: string | undefined): Token | undefined => {
    const token = tokens.get(id ?? '')
    return token && token.expiresAt.getTime() > now().getTime() ? token : undefined
  }
  const rolesOf = ({ user, scope }: Pick<Token, 'user' | 'scope'>): string[] => {
    const direct = scope.project
      ? (user.projects?.[scope.project.name] ?? [])
      : scope.system
        ? (user.system ?? [])
        : []
    return [...new Set(direct.flatMap((role) => [role, ...(IMPLIED[role] ?? [])]))]
  }

  const scopeFrom = (user: Stored, wire: WireAuth['scope']): WireScope => {
    if (wire === undefined || wire === 'unscoped') return {}
    const { project: wanted } = wire
    const found = wanted && projects.find((one) => isNamed(one, wanted))
    if (wanted && !found) throw new Refusal(401, UNAUTHORIZED)
    const scope: WireScope = found ? { project: found } : wire.system ? { system: true } : {}
    if (rolesOf({ user, scope }).length === 0) throw new Refusal(401, UNAUTHORIZED)
    return scope
  }

  const logIn = ({ identity, scope }: WireAuth): string => {
    const [method = ''] = identity.methods
    if (method === 'password') {
      const wire = identity.password?.user
      const user = wire && users.find((one) => isNamed(one, wire))
      if (!user || user.password !== wire.password) throw new Refusal(401, UNAUTHORIZED)
      return issue(user, scopeFrom(user, scope), method)
    }
    if (method === 'token') {
      const token = valid(identity.token?.id)
      if (!token) throw new Refusal(401, UNAUTHORIZED)
      return issue(token.user, scopeFrom(token.user, scope), method)
    }
    if (method !== 'application_credential') throw new Refusal(401, UNAUTHORIZED)
    if (scope !== undefined)
      throw new Refusal(401, 'Application credentials cannot request a scope.')
    const wire = identity.application_credential ?? { secret: '' }
    const named = users.find((one) => wire.user && isNamed(one, wire.user))
    const { user, name } =
      wire.id === undefined ? { user: named, name: wire.name } : (credentialIds.get(wire.id) ?? {})
    const credential = user?.credentials?.find((one) => one.name === name)
    if (!user || credential?.secret !== wire.secret) throw new Refusal(401, UNAUTHORIZED)
    return issue(user, { project: project(credential.project, user.domain) }, method)
  }

  const describe = (token: Token, withCatalogue: boolean): object => {
    const { user, scope, method } = token
    const roles = rolesOf(token).map((name) => ({ id: `role-${name}`, name }))
    return {
      token: {
        methods: [method],
        user: { ...placed(user), password_expires_at: null },
        audit_ids: ['ZzZzZzZzZzZzZzZzZzZzZw'],
        issued_at: wireTime(token.issuedAt),
        expires_at: wireTime(token.expiresAt),
        ...(scope.project && { project: placed(scope.project), is_domain: false }),
        ...(scope.system && { system: { all: true } }),
        ...(roles.length > 0 && { roles }),
        ...(withCatalogue && roles.length > 0 && { catalog: services }),
      },
    }
  }

  const needToken = (request: IncomingMessage): Token => {
    const token = valid(header(request, 'x-auth-token'))
    if (!token) throw new Refusal(401, UNAUTHORIZED)
    return token
  }

  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://keystone')
    const route = `${request.method} ${pathname}`
    asked.push(route)
    if (keystone.away === 'error') throw new Refusal(503, 'The service is away')
    if (keystone.away === 'gone') return void request.socket.destroy()
    if (keystone.away === 'silent') return
    if (/^GET \/v3\/?$/.test(route)) {
      const links = [{ rel: 'self', href: `${url}/v3/` }]
      return send(response, 200, { version: { id: 'v3.14', status: 'stable', links } })
    }
    const withCatalogue = !searchParams.has('nocatalog')
    if (route === 'POST /v3/auth/tokens') {
      const { auth } = (await jsonOf(request)) as { auth: WireAuth }
      const id = logIn(auth)
      const token = valid(id)
      if (!token) throw new Refusal(401, UNAUTHORIZED)
      return send(response, 201, describe(token, withCatalogue), { 'x-subject-token': id })
    }
    const asker = needToken(request)
    if (pathname === '/v3/auth/tokens') {
      const subject = header(request, 'x-subject-token') ?? ''
      const isLateWelcome = searchParams.get('allow_expired') === '1'
      const token = isLateWelcome ? tokens.get(subject) : valid(subject)
      const isOwn = subject === header(request, 'x-auth-token')
      const roles = rolesOf(asker)
      if (!isOwn && !roles.includes('admin') && !roles.includes('service'))
        throw new Refusal(403, FORBIDDEN)
      if (!token) throw new Refusal(404, 'Could not find token.')
      if (request.method === 'DELETE') {
        tokens.delete(subject)
        return send(response, 204)
      }
      const shown = describe(token, withCatalogue)
      return send(response, 200, shown, { 'x-subject-token': subject })
    }
    if (pathname.startsWith('/v3/projects')) {
      if (!rolesOf(asker).includes('admin')) throw new Refusal(403, FORBIDDEN)
      const [, id] = /^\/v3\/projects\/(.+)$/.exec(pathname) ?? []
      if (id === undefined) {
        const named = projects.filter(({ name }) => [null, name].includes(searchParams.get('name')))
        return send(response, 200, { projects: named.map(placed), links: {} })
      }
      const project = projects.find((one) => one.id === id)
      if (!project) throw new Refusal(404, `Could not find project: ${id}.`)
      return send(response, 200, { project: placed(project) })
    }
    if (route === 'GET /v3/limits' || route === 'GET /v3/registered_limits') {
      const mayRead = asker.scope.system ?? rolesOf(asker).includes('admin')
      if (!mayRead) throw new Refusal(403, FORBIDDEN)
      return send(response, 200, limitRows(route.endsWith('/limits'), searchParams))
    }
    throw new Refusal(404, 'Could not find anything there.')
  }

  const limitRows = (ofProjects: boolean, query: URLSearchParams): object => {
    const wanted = limits.filter(
      (one) =>
        (one.project !== undefined) === ofProjects &&
        [null, one.service].includes(query.get('service_id')) &&
        [null, one.resource].includes(query.get('resource_name')) &&
        (!ofProjects || [null, one.project].includes(query.get('project_id'))),
    )
    const rows = wanted.map(({ id, service, resource, limit, project: of }) => ({
      id,
      service_id: service,
      region_id: query.get('region_id'),
      resource_name: resource,
      ...(of === undefined
        ? { default_limit: limit }
        : { resource_limit: limit, project_id: of, domain_id: null }),
    }))
    return { [ofProjects ? 'limits' : 'registered_limits']: rows, links: {} }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const status = error instanceof Refusal ? error.status : 400
      const message = error instanceof Error ? error.message : 'bad request'
      send(response, status, { error: { code: status, message, title: String(status) } })
    })
  })
  const url = await listen(server)
  const keystone: FakeKeystone = {
    url: `${url}/v3`,
    asked,
    tokenLifeMs: 3_600_000,
    away: 'no',
    addUser: (given) => {
      const user = { domain: 'Default', ...given, id: randomUUID().replaceAll('-', '') }
      users.push(user)
      for (const name of Object.keys(user.projects ?? {})) project(name, user.domain)
      const ids = (user.credentials ?? []).map(({ name }) => {
        const id = randomUUID().replaceAll('-', '')
        credentialIds.set(id, { user, name })
        return id
      })
      return { id: user.id, credentialIds: ids }
    },
    projectId: (name, domain) => project(name, domain).id,
    addService: (type, at, { region = 'RegionOne', interfaces = ['public'] } = {}) => {
      const known = services.find((one) => one.type === type)
      const service = known ?? { id: randomUUID(), type, name: type, endpoints: [] as object[] }
      if (!known) services.push(service)
      for (const side of interfaces)
        service.endpoints.push({
          id: randomUUID(),
          interface: side,
          region,
          region_id: region,
          url: at,
        })
      return service.id
    },
    setLimit: (type, resource, limit, of) => {
      const service = services.find((one) => one.type === type)?.id
      if (service === undefined) throw new Error(`no service ${type}`)
      const owner = of === undefined ? {} : { project: project(of).id }
      const same = limits.findIndex(
        (one) =>
          one.service === service && one.resource === resource && one.project === owner.project,
      )
      if (same >= 0) limits.splice(same, 1)
      limits.push({ id: randomUUID(), service, resource, limit, ...owner })
    },
    issue: (name, scope) => {
      const user = users.find((one) => one.name === name)
      if (!user) throw new Error(`no user ${name}`)
      if (scope === undefined) return issue(user, {}, 'password')
      const wire = 'project' in scope ? { project: project(scope.project, user.domain) } : scope
      return issue(user, wire, 'password')
    },
    revoke: (token) => void tokens.delete(token),
    [Symbol.asyncDispose]: () => endServer(server),
  }
  return keystone
}

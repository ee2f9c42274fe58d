/** How the small Keystone is asked, and how it answers. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** How a request names somebody or something. */
export interface WireNamed {
  id?: string
  name?: string
  domain?: { id?: string; name?: string }
}

/** `auth` of `POST /v3/auth/tokens`. */
export interface WireAuth {
  identity: {
    methods: string[]
    password?: { user: WireNamed & { password: string } }
    application_credential?: WireNamed & { secret: string; user?: WireNamed }
    token?: { id: string }
  }
  scope?: { project?: WireNamed; system?: { all?: boolean }; domain?: WireNamed } | 'unscoped'
}

/** What stands in a domain, which goes by its name. */
export interface Placed {
  readonly id: string
  readonly name: string
  readonly domain: string
}

/** Whether the wire means this one: by its id, or by its name and its domain's. */
export function isNamed(thing: Placed, wire: WireNamed): boolean {
  if (wire.id !== undefined) return wire.id === thing.id
  const { id, name } = wire.domain ?? {}
  return wire.name === thing.name && (id === domainId(thing.domain) || name === thing.domain)
}

function domainId(name: string): string {
  return name === 'Default' ? 'default' : `domain-${name}`
}

/** As tokens and projects show it. */
export function placed({ id, name, domain }: Placed): object {
  return { id, name, domain: { id: domainId(domain), name: domain } }
}

/** Keystone's times have microseconds. */
export function wireTime(date: Date): string {
  return date.toISOString().replace('Z', '000Z')
}

export function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

export async function jsonOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString()) as unknown
}

export function send(
  response: ServerResponse,
  status: number,
  body?: object,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(body && JSON.stringify(body))
}

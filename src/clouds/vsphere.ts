/**
 * A thin client of vSphere's SOAP interface: one session, calls by name, morefs in and elements out.
 * Source: VMware, "vSphere Web Services API": vim25.
 */
import { DOMParser, type Element, XMLSerializer } from '@xmldom/xmldom'
import { Failure, type FailureCode, isFailure, messageOf } from '../base/failure.ts'
import { type CloudHttp, isConnectionError, readBody } from './cloud-http.ts'

/** A thing of vSphere's: `{ type: 'VirtualMachine', id: 'vm-12' }`. */
export interface ManagedThing {
  readonly type: string
  readonly id: string
}

export interface VsphereOptions {
  /** `https://vcenter.example`, without a slash at the end. */
  readonly url: string
  readonly username: string
  readonly password: string
}

const DENIED = /InvalidLogin|NoPermission|NotAuthenticated/
const FULL = /InsufficientResources|NoDiskSpace|OutOfBounds/

export class Vsphere implements AsyncDisposable {
  readonly #http: CloudHttp
  readonly #url: string
  #cookie: string | undefined
  /** Managers by their names in the service's content: `ovfManager`. */
  readonly #managers = new Map<string, ManagedThing>()

  private constructor(http: CloudHttp, url: string) {
    this.#http = http
    this.#url = url
  }

  /** Signs in. Fails with CLOUD_DENIED, CLOUD_AWAY, CLOUD_FAILED. The connection stays the caller's. */
  static async open(
    http: CloudHttp,
    options: VsphereOptions,
    signal: AbortSignal,
  ): Promise<Vsphere> {
    const { url, username, password } = options
    const vsphere = new Vsphere(http, url)
    const root = { type: 'ServiceInstance', id: 'ServiceInstance' }
    const content = await vsphere.call('RetrieveServiceContent', root, '', signal)
    for (const element of childrenOf(childOf(content, 'returnval')))
      if (element.getAttribute('type') !== null)
        vsphere.#managers.set(element.localName ?? '', thingOf(element))
    const fields = `${field('userName', username)}${field('password', password)}`
    await vsphere.call('Login', vsphere.manager('sessionManager'), fields, signal)
    return vsphere
  }

  /** Fails with CLOUD_FAILED. */
  manager(name: string): ManagedThing {
    const found = this.#managers.get(name)
    if (found === undefined) throw new Failure('CLOUD_FAILED', `vSphere has no ${name}`)
    return found
  }

  /** Calls a method of a thing; `fields` are XML. The response's element. */
  async call(
    method: string,
    of: ManagedThing,
    fields: string,
    signal: AbortSignal,
  ): Promise<Element> {
    const body = `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><${method} xmlns="urn:vim25">${reference('_this', of)}${fields}</${method}></soapenv:Body></soapenv:Envelope>`
    const { status, text, cookie } = await this.#send(method, Buffer.from(body), signal)
    this.#cookie ??= cookie
    const answer = childOf(childOf(parseXml(text), 'Body'), `${method}Response`)
    if (status === 200 && answer !== undefined) return answer
    throw faultOf(method, status, text)
  }

  /** A thing by its path in the inventory: `DC0/vm/web`. */
  async find(path: string, signal: AbortSignal): Promise<ManagedThing | undefined> {
    const fields = field('inventoryPath', path)
    const index = this.manager('searchIndex')
    const answer = await this.call('FindByInventoryPath', index, fields, signal)
    const found = childOf(answer, 'returnval')
    return found && thingOf(found)
  }

  /** Properties of a thing, by their paths. */
  async properties(
    of: ManagedThing,
    paths: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Element>> {
    const wanted = `${field('type', of.type)}${paths.map((path) => field('pathSet', path)).join('')}`
    const fields = `<specSet><propSet>${wanted}</propSet><objectSet>${reference('obj', of)}</objectSet></specSet><options/>`
    const collector = this.manager('propertyCollector')
    const ask = async () => await this.call('RetrievePropertiesEx', collector, fields, signal)
    // Who waits for something looks often, and one answer that is lost must not end the work.
    const answer = await ask().catch(async (error: unknown) => {
      if (!isFailure(error, 'CLOUD_AWAY')) throw error
      return await ask()
    })
    const object = childOf(childOf(answer, 'returnval'), 'objects')
    const sets = childrenOf(object).filter(({ localName }) => localName === 'propSet')
    return new Map(
      sets.flatMap((set) => {
        const value = childOf(set, 'val')
        return value === undefined ? [] : [[textOf(childOf(set, 'name')), value] as const]
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ending = AbortSignal.timeout(5_000)
    await this.call('Logout', this.manager('sessionManager'), '', ending).catch(() => {})
  }

  async #send(method: string, body: Uint8Array, signal: AbortSignal) {
    try {
      const response = await this.#http.send({
        method: 'POST',
        url: `${this.#url}/sdk`,
        headers: {
          'content-type': 'text/xml; charset=utf-8',
          soapaction: 'urn:vim25/6.5',
          ...(this.#cookie !== undefined && { cookie: this.#cookie }),
        },
        body,
        signal,
      })
      const { statusCode: status = 0, headers } = response
      const cookie = headers['set-cookie']?.[0]?.split(';')[0]
      return { status, cookie, text: (await readBody(response)).toString() }
    } catch (cause) {
      if (signal.aborted) throw new Failure('INTERRUPTED', `${method} was interrupted`)
      if (!isConnectionError(cause)) throw cause
      throw new Failure('CLOUD_AWAY', `vSphere: ${method}: ${messageOf(cause)}`, { cause })
    }
  }
}

/** `<name>text</name>` */
export function field(name: string, text: string): string {
  return `<${name}>${escapeXml(text)}</${name}>`
}

/** `<name type="…">id</name>` */
export function reference(name: string, { type, id }: ManagedThing): string {
  return `<${name} type="${escapeXml(type)}">${escapeXml(id)}</${name}>`
}

export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

/** What stands in an element, as XML again. */
export function innerXml(element: Element): string {
  const serializer = new XMLSerializer()
  return childrenOf(element)
    .map((child) => serializer.serializeToString(child))
    .join('')
}

export function childrenOf(parent: Element | undefined): Element[] {
  const found: Element[] = []
  for (let child = parent?.firstChild ?? null; child !== null; child = child.nextSibling)
    if (child.nodeType === 1) found.push(child as Element)
  return found
}

export function childOf(parent: Element | undefined, name: string): Element | undefined {
  return childrenOf(parent).find(({ localName }) => localName === name)
}

export function textOf(element: Element | undefined): string {
  return element?.textContent ?? ''
}

export function thingOf(element: Element): ManagedThing {
  return { type: element.getAttribute('type') ?? '', id: textOf(element) }
}

/** Undefined for what is no XML; no document type is read, so nothing is expanded. */
function parseXml(text: string): Element | undefined {
  if (/<!(DOCTYPE|ENTITY)/i.test(text)) return undefined
  try {
    return (
      new DOMParser({ onError: stopOnError }).parseFromString(text, 'text/xml').documentElement ??
      undefined
    )
  } catch {
    return undefined
  }
}

function stopOnError(_level: unknown, message: string): never {
  throw new Error(message)
}

function faultOf(method: string, status: number, text: string): Failure {
  const fault = childOf(childOf(parseXml(text), 'Body'), 'Fault')
  const said = textOf(childOf(fault, 'faultstring')) || `status ${status}`
  const kinds = childrenOf(childOf(fault, 'detail')).map(
    (detail) =>
      `${detail.localName} ${detail.getAttributeNS('http://www.w3.org/2001/XMLSchema-instance', 'type') ?? ''}`,
  )
  const kind = kinds.join(' ')
  return new Failure(
    codeOf(kind, said, status),
    `vSphere: ${method}: ${said.slice(0, 300)} ${kind.slice(0, 100)}`,
    {
      details: { status },
    },
  )
}

function codeOf(kind: string, said: string, status: number): FailureCode {
  if (DENIED.test(kind) || DENIED.test(said) || status === 401) return 'CLOUD_DENIED'
  if (FULL.test(kind)) return 'CLOUD_FULL'
  if (/ManagedObjectNotFound/.test(kind)) return 'CLOUD_NOT_FOUND'
  return status === 503 ? 'CLOUD_AWAY' : 'CLOUD_FAILED'
}

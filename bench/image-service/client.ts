/** A client of one server: requests as text, made beforehand, and the questions that rows ask between measurements. */
import { setTimeout as wait } from 'node:timers/promises'
import { Connection } from './connection.ts'
import { type Job, type Outcome, runLoad } from './load.ts'
import { cpuOf } from './processes.ts'
import type { Server } from './server.ts'

/** As a server shows it, as far as it is looked at here. */
export interface ShownImage {
  readonly id: string
  readonly status: string
  readonly size: number | null
  readonly disk_format: string
  readonly os_glance_failed_import?: string
  readonly os_glance_importing_to_stores?: string
}

const LOOK_MS = 20
/** So many clients make images at once. */
const MAKERS = 4
const OCTETS = 'application/octet-stream'

type JobOn<Kind extends Job['kind']> = Omit<Extract<Job, { kind: Kind }>, 'port'>
export type Load = { [Kind in Job['kind']]: JobOn<Kind> }[Job['kind']]

export class Client {
  readonly server: Server

  constructor(server: Server) {
    this.server = server
  }

  /** Text of a request. */
  request(method: string, path: string, body?: object): string {
    if (body === undefined) return `${this.#head(method, path)}\r\n`
    const text = JSON.stringify(body)
    const about = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}`
    return `${this.#head(method, path)}${about}\r\n\r\n${text}`
  }

  /** Text of the head of a request that brings data. */
  headOf(path: string, size: number): string {
    const about = `Content-Type: ${OCTETS}\r\nContent-Length: ${size}`
    return `${this.#head('PUT', path)}${about}\r\n\r\n`
  }

  async ask(method: string, path: string, body?: object): Promise<unknown> {
    const connection = new Connection(this.server.port)
    const { status, text } = await connection.ask(this.request(method, path, body), true)
    connection.close()
    if (status >= 300) throw new Error(`${this.server.name}: ${method} ${path}: ${status} ${text}`)
    return text.startsWith('{') ? JSON.parse(text) : undefined
  }

  /** Does the work of a job; the processor time is that of the server. */
  async load(load: Load): Promise<Outcome & { cpuS: number }> {
    const before = cpuOf(this.server.pids())
    const outcome = await runLoad({ ...load, port: this.server.port })
    return { ...outcome, cpuS: cpuOf(this.server.pids()) - before }
  }

  async createImage(diskFormat = 'raw', more: object = {}): Promise<string> {
    const image = { name: 'bench', disk_format: diskFormat, container_format: 'bare', ...more }
    return ((await this.ask('POST', '/v2/images', image)) as ShownImage).id
  }

  async createImages(count: number): Promise<string[]> {
    const ids: string[] = []
    const numbers = Array.from({ length: count }, (_, n) => n).values()
    const make = async () => {
      for (const n of numbers) {
        const name = `list-${String(n).padStart(4, '0')}`
        ids.push(
          await this.createImage('raw', { name, os_version: String(n), hw_disk_bus: 'virtio' }),
        )
      }
    }
    await Promise.all(Array.from({ length: MAKERS }, make))
    return ids
  }

  async deleteImages(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.ask('DELETE', `/v2/images/${id}`)
  }

  async show(id: string): Promise<ShownImage> {
    return (await this.ask('GET', `/v2/images/${id}`)) as ShownImage
  }

  /** Waits until data that is imported is the image's. */
  async untilActive(id: string): Promise<ShownImage> {
    for (;;) {
      const image = await this.show(id)
      if (image.status === 'active' && !image.os_glance_importing_to_stores) return image
      if (image.os_glance_failed_import || image.status === 'queued')
        throw new Error(`${this.server.name}: the import failed: ${JSON.stringify(image)}`)
      await wait(LOOK_MS)
    }
  }

  #head(method: string, path: string): string {
    const { port, token } = this.server
    return `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: */*\r\nX-Auth-Token: ${token}\r\n`
  }
}

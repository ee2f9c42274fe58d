import { lstat, readdir, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname } from 'node:path'
import { asFileFailure, Failure, messageOf, systemCode } from '../base/failure.ts'
import type { Log } from '../base/log.ts'
import { negotiate } from './_negotiate.ts'
import { transmit } from './_transmission.ts'
import { WireSocket } from './_wire-socket.ts'
import type { NbdExport } from './export.ts'

/** Where a server listens: a socket file, or a TCP port (0: any that is free). */
export type NbdAddress =
  | { readonly socket: string }
  | { readonly host: string; readonly port: number }

export interface NbdServerOptions {
  readonly address: NbdAddress
  readonly log: Log
  /** Clients at a time; further ones are turned away. Each may hold 2 MiB. Default 32. */
  readonly maxClients?: number
  /** Milliseconds a client may take to agree on what it wants. Default 30 s. */
  readonly handshakeTimeoutMs?: number
}

/** Source: unix(7), `sun_path`. */
const MAX_PATH = 107

/** A running server. Closing it ends every connection and removes the socket file. */
export interface NbdServer extends AsyncDisposable {
  /** As clients take it: `nbd+unix:///?socket=/run/disk.sock`, `nbd://127.0.0.1:10809`. */
  readonly uri: string
  readonly address: NbdAddress
}

/**
 * Offers a disk to NBD clients. A socket file can be used by its owner only; one that a dead server
 * left behind is replaced. The disk stays the caller's: it is closed after the server.
 * Fails with ADDRESS_IN_USE, FILE_NOT_FOUND, FILE_UNREADABLE, USAGE (the path is too long).
 */
export async function openNbdServer(
  exported: NbdExport,
  { address, log, maxClients = 32, handshakeTimeoutMs = 30_000 }: NbdServerOptions,
): Promise<NbdServer> {
  const clients = new Map<Socket, Promise<void>>()
  const server = createServer({ noDelay: true }, (socket) => {
    if (clients.size >= maxClients) {
      log.warn('nbd.turned-away', { clients: clients.size })
      socket.on('error', () => {}).destroy()
      return
    }
    const served = serveClient(socket, exported, { handshakeTimeoutMs, log })
      .catch((error: unknown) => log.error('nbd.failed', { message: messageOf(error) }))
      .finally(() => {
        clients.delete(socket)
        log.info('nbd.client-gone', { clients: clients.size })
      })
    clients.set(socket, served)
    log.info('nbd.client', { clients: clients.size })
  })
  if ('socket' in address) await makeWay(address.socket)
  await listen(server, address)
  const bound = boundTo(server, address)
  return {
    address: bound,
    uri: uriOf(bound, exported.name),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve)) // removes the socket file
      const served = [...clients.values()]
      for (const socket of clients.keys()) socket.destroy()
      await Promise.all([closed, ...served])
    },
  }
}

/** One connection, from hello until it is closed. */
async function serveClient(
  socket: Socket,
  exported: NbdExport,
  { handshakeTimeoutMs, log }: { handshakeTimeoutMs: number; log: Log },
): Promise<void> {
  const wire = new WireSocket(socket)
  let timer = setTimeout(() => wire.cut(), handshakeTimeoutMs)
  try {
    const steps = negotiate(exported)
    let step = steps.next()
    while (!step.done) {
      if ('send' in step.value) {
        await wire.give(step.value.send)
        step = steps.next(Buffer.alloc(0))
      } else {
        const bytes = await wire.take(step.value.want)
        if (bytes === undefined) return
        step = steps.next(bytes)
      }
    }
    clearTimeout(timer)
    if (step.value !== undefined) await transmit(wire, exported, step.value, log)
  } finally {
    clearTimeout(timer)
    timer = setTimeout(() => wire.cut(), handshakeTimeoutMs) // a client that takes nothing any more
    await wire.end()
    clearTimeout(timer)
  }
}

/** Binds; a socket file is made so that nobody but its owner can ever open it. */
async function listen(server: Server, address: NbdAddress): Promise<void> {
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject).once('listening', resolve)
  })
  if ('socket' in address) {
    const mask = process.umask(0o177)
    try {
      server.listen(address.socket) // binds before it returns
    } finally {
      process.umask(mask)
    }
  } else server.listen(address.port, address.host)
  try {
    await listening
  } catch (error) {
    if (systemCode(error) === 'EADDRINUSE') throw inUse(address, error)
    throw asFileFailure(error, 'socket' in address ? address.socket : address.host)
  }
}

/**
 * Sees that a socket file can be made at this path, and removes one that nobody listens on any more.
 * Fails with ADDRESS_IN_USE when it is in use, or no socket; USAGE when the path is too long.
 */
async function makeWay(path: string): Promise<void> {
  const length = Buffer.byteLength(path)
  if (length > MAX_PATH)
    throw new Failure('USAGE', `the path of a socket has at most ${MAX_PATH} bytes, not ${length}`)
  try {
    if (!(await readdir(dirname(path))).includes(basename(path))) return
    const found = await lstat(path)
    if (!found.isSocket() || (await isAnswered(path))) throw inUse({ socket: path })
    await unlink(path)
  } catch (error) {
    throw asFileFailure(error, path)
  }
}

async function isAnswered(path: string): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

function inUse(address: NbdAddress, cause?: unknown): Failure {
  const where = 'socket' in address ? address.socket : `${address.host}:${address.port}`
  return new Failure('ADDRESS_IN_USE', `${where} is in use`, { details: { ...address }, cause })
}

function boundTo(server: Server, address: NbdAddress): NbdAddress {
  const bound = server.address()
  return typeof bound === 'object' && bound !== null && 'host' in address
    ? { host: address.host, port: bound.port }
    : address
}

/** Source: doc/uri.md of the NetworkBlockDevice/nbd repository. */
function uriOf(address: NbdAddress, name: string): string {
  const path = encodeURIComponent(name)
  if ('socket' in address) return `nbd+unix:///${path}?socket=${encodeURI(address.socket)}`
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `nbd://${host}:${address.port}/${path}`
}

/**
 * Images by reading: no appliance, no root, no mount, no command. Our own parsers read partition
 * tables, qcow2 and ext file systems in a worker thread that is bounded in time and memory, so an
 * image made to harm gets no further than its own check.
 */
import { basename } from 'node:path'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import type { Context } from '../base/context.ts'
import { Failure, messageOf, systemCode } from '../base/failure.ts'
import { fromSent, type SentError } from '../base/sent-error.ts'
import type { ImageFormat } from '../formats/open-image.ts'
import type { Source } from '../bytes/source.ts'
import { siblingModule } from './_child-calls.ts'
import { type RangeFacts, serveRanges } from './_range-port.ts'
import type { ReadCalls } from './_read-thread.ts'
import type { RemoteDriver } from './remote.ts'

const MEMORY_MIB = 128
const DEFAULT_LIMIT_MS = 30_000

export interface ReadImageOptions {
  /** The file; of a source that is given, what failures call it. */
  path: string
  /** Read instead of the file. Who opened it closes it, after the image. */
  source?: Source | undefined
  /** Told by the content when left out. */
  format?: ImageFormat | undefined
  /** Device of the root file system, when there is more than one: `/dev/sda2`. */
  rootFileSystem?: string | undefined
  /** `change` is refused. Default `check`. */
  access?: 'check' | 'change'
  /** How long one answer may take. Default 30 s. */
  limitMs?: number
}

export type ReadThreadOptions = Pick<ReadImageOptions, 'path' | 'format' | 'rootFileSystem'> & {
  /** Of the source, if there is one. */
  ranges?: (RangeFacts & { port: MessagePort }) | undefined
}

export interface ReadCall<Name extends ReadName = ReadName> {
  id: number
  name: Name
  args: ReadArgs[Name]
}

export type ReadName = keyof ReadCalls
export type ReadArgs = { [Name in ReadName]: Parameters<ReadCalls[Name]> }
export type ReadResults = { [Name in ReadName]: Awaited<ReturnType<ReadCalls[Name]>> }

export type ReadReply = { id: number; result: unknown } | { id: number; error: SentError }

/**
 * Opens an image for reading its files. Symbolic links are followed inside the guest; what its
 * fstab mounts is found where the guest would find it.
 *
 * Fails with IMAGE_NOT_FOUND, IMAGE_UNREADABLE, IMAGE_UNSAFE, IMAGE_TRUNCATED, IMAGE_DIRTY,
 * NO_OPERATING_SYSTEM, SEVERAL_OPERATING_SYSTEMS, FILE_SYSTEM_ENCRYPTED; with FILE_SYSTEM_DIRTY and
 * FILE_SYSTEM_UNSUPPORTED where the appliance can help; with REMOTE_CANNOT for `change`.
 */
export async function openReadImage(
  options: ReadImageOptions,
  context: Context,
): Promise<RemoteDriver> {
  const name = basename(options.path)
  if (options.access === 'change')
    throw new Failure('REMOTE_CANNOT', `${name}: an image cannot be changed by reading it`, {
      fix: 'Use --via appliance, or --via sandbox for an image you trust.',
    })
  const thread = startThread(options, context.signal)
  try {
    const opened = await thread.call('open')
    context.log.debug('image.read', { path: options.path, ...opened })
    return {
      name,
      place: 'image',
      via: 'read',
      rootFileSystem: opened.rootFileSystem,
      stat: (path) => thread.call('stat', path),
      readFile: (path, limit) => thread.call('readFile', path, limit),
      list: (path) => thread.call('list', path),
      archive: (file) => thread.callWithin(Infinity, 'archive', file),
      [Symbol.asyncDispose]: thread.close,
    }
  } catch (error) {
    await thread.close()
    throw error
  }
}

interface Thread {
  call<Name extends ReadName>(name: Name, ...args: ReadArgs[Name]): Promise<ReadResults[Name]>
  /** As `call`, for what may take longer or shorter; Infinity for what is bounded otherwise. */
  callWithin<Name extends ReadName>(
    limitMs: number,
    name: Name,
    ...args: ReadArgs[Name]
  ): Promise<ReadResults[Name]>
  close(): Promise<void>
}

/** A thread that answers until it is closed, takes too long, or needs too much memory. */
function startThread(options: ReadImageOptions, signal: AbortSignal): Thread {
  const { path, format, rootFileSystem, source, limitMs = DEFAULT_LIMIT_MS } = options
  const channel = source && new MessageChannel()
  const ranges = source && channel && { port: channel.port2, name: path, size: source.size }
  if (source && channel) serveRanges(source, channel.port1)
  const worker = new Worker(siblingModule('_read-thread', import.meta.url), {
    workerData: { path, format, rootFileSystem, ranges } satisfies ReadThreadOptions,
    ...(channel && { transferList: [channel.port2] }),
    resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB },
  })
  const waiting = new Map<number, (reply: ReadReply | Error) => void>()
  let nextId = 1
  let lost: Error | undefined

  const lose = (why: Error) => {
    lost ??= why
    for (const settle of waiting.values()) settle(lost)
    waiting.clear()
    void worker.terminate()
  }
  const onAbort = () => lose(new Failure('INTERRUPTED', `reading ${options.path} was interrupted`))
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  worker.on('message', (reply: ReadReply) => {
    waiting.get(reply.id)?.(reply)
    waiting.delete(reply.id)
  })
  worker.on('error', (error) => lose(toFailure(error, options.path)))

  const ask = async <Name extends ReadName>(
    limitMs: number,
    name: Name,
    ...args: ReadArgs[Name]
  ): Promise<ReadResults[Name]> => {
    if (lost) throw lost
    const id = nextId++
    const reply = await new Promise<ReadReply | Error>((resolve) => {
      const tell = () => lose(tooSlow(options.path, name, limitMs))
      const timer = limitMs === Infinity ? undefined : setTimeout(tell, limitMs)
      waiting.set(id, (reply) => {
        clearTimeout(timer)
        resolve(reply)
      })
      worker.postMessage({ id, name, args } satisfies ReadCall<Name>)
    })
    if (reply instanceof Error) throw reply
    if ('error' in reply) throw fromSent(reply.error)
    return reply.result as ReadResults[Name]
  }
  return {
    call: (name, ...args) => ask(limitMs, name, ...args),
    callWithin: ask,
    close: async () => {
      signal.removeEventListener('abort', onAbort)
      lose(new Failure('REMOTE_LOST', `${options.path} is closed`))
      channel?.port1.close()
      await worker.terminate()
    },
  }
}

function tooSlow(path: string, what: string, limitMs: number): Failure {
  return new Failure(
    'IMAGE_UNREADABLE',
    `${path}: no answer to '${what}' within ${limitMs / 1000} s: the image is made to keep readers busy, or its disk is very slow`,
  )
}

/** A bug stays a bug. */
function toFailure(error: unknown, path: string): Error {
  if (systemCode(error) !== 'ERR_WORKER_OUT_OF_MEMORY')
    return error instanceof Error ? error : new Error(messageOf(error))
  const message = `${path}: reading it takes more than ${MEMORY_MIB} MiB of memory`
  return new Failure('IMAGE_UNREADABLE', message, { cause: error })
}

/** The process behind an appliance, and the driver that asks it. */
import { open, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Context } from '../base/context.ts'
import { Failure, isFailure } from '../base/failure.ts'
import type { ApplianceCalls } from './_appliance-child.ts'
import { type Child, openChild, siblingModule } from './_child-calls.ts'
import type { CommandResult, RemoteDriver } from './remote.ts'
import type { Uplink } from './uplink.ts'

/** For a file, a mount, the end: an appliance that hangs must not hang its caller. */
const CALL_LIMIT_MS = 300_000

/** Only the process: enough to ask what libguestfs there is. */
export function openApplianceChild(
  title: string,
  onEvent: (event: string, data: unknown) => void = () => {},
  launcher: readonly string[] = [],
): Child<ApplianceCalls> {
  const child = openChild<ApplianceCalls>(siblingModule('_appliance-child', import.meta.url), {
    title,
    launcher,
    env: { UV_THREADPOOL_SIZE: '1' }, // see _libguestfs.ts
    onEvent,
  })
  return { ...child, call: (name, ...args) => child.callWithin(CALL_LIMIT_MS, name, ...args) }
}

/**
 * The process, and what is made of it. It ends when `context` is aborted. QEMU is started by it, in the network of `uplink`;
 * that and `scratch` go with it.
 */
export function startAppliance(
  name: string,
  scratch: string,
  uplink: Uplink | undefined,
  context: Context,
) {
  const listeners = new Map<string, (text: string) => void>()
  const onEvent = (event: string, data: unknown) => {
    const { id, text } = data as { id: string; text: string }
    if (event === 'output') listeners.get(id)?.(text)
  }
  const child = openApplianceChild(`the appliance of ${name}`, onEvent, uplink?.launcher)
  const onAbort = () => void child.close()
  context.signal.addEventListener('abort', onAbort, { once: true })

  const close = async () => {
    context.signal.removeEventListener('abort', onAbort)
    await child.close()
    await uplink?.[Symbol.asyncDispose]()
    await rm(scratch, { recursive: true, force: true })
  }

  /** The answer to a call, or a failure that says what the user did or the appliance said last. */
  const ask = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } catch (error) {
      if (context.signal.aborted)
        throw new Failure('INTERRUPTED', `${name} was interrupted`, { cause: error })
      if (!isFailure(error, 'REMOTE_LOST')) throw error
      const details = { ...error.details, messages: child.messages() }
      throw new Failure('REMOTE_LOST', error.message, { details, cause: error })
    }
  }

  const driver = (path: string, readonly: boolean): RemoteDriver => {
    let finished = readonly // there is nothing to finish
    const finish = async (isKept: boolean) => {
      if (finished) return
      finished = true
      await ask(child.call('finish', isKept))
      if (!isKept) return
      await using file = await open(path, 'r+')
      await file.sync()
    }
    return {
      name,
      place: 'image',
      via: 'appliance',
      run: async ({ onOutput, ...command }): Promise<CommandResult> => {
        const id = context.newId()
        if (onOutput) listeners.set(id, onOutput)
        try {
          return await ask(child.callWithin(Infinity, 'run', id, command))
        } finally {
          listeners.delete(id)
        }
      },
      readFile: (path, limit) => ask(child.call('readFile', path, limit)),
      stat: (path) => ask(child.call('stat', path)),
      list: (path) => ask(child.call('list', path)),
      writeFile: (path, content, attributes) =>
        ask(child.call('writeFile', path, content, attributes)),
      makeDirectory: (path) => ask(child.call('makeDirectory', path)),
      setAttributes: (path, attributes) => ask(child.call('setAttributes', path, attributes)),
      makeLink: (path, target) => ask(child.call('makeLink', path, target)),
      remove: (path) => ask(child.call('remove', path)),
      ...(readonly && {
        archive: (file: string) => ask(child.callWithin(Infinity, 'archive', resolve(file))),
      }),
      finish: () => finish(true),
      [Symbol.asyncDispose]: async () => {
        // Nobody may want the image as it is now, but its file systems are left clean all the same.
        if (!context.signal.aborted) await finish(false).catch(() => {})
        await close()
      },
    }
  }
  return { child, ask, close, driver }
}

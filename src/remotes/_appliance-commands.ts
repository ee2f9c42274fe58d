/** This host's end of the agent's ports: commands in, output and exit codes out. */
import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { BoundedOutput } from '../base/bounded-output.ts'
import { Failure } from '../base/failure.ts'
import { MiB } from '../base/units.ts'
import { type Port, PORTS, scriptOf } from './_appliance-agent.ts'
import { MarkedStream } from './_marked-stream.ts'
import type { Command, CommandResult } from './remote.ts'

/** How much of each stream is kept: as of commands on this host. */
const MAX_OUTPUT = 8 * MiB
/** Input lies in the appliance's memory. */
const MAX_INPUT = 64 * MiB
/** The agent tells every few seconds that it lives; emulated and on a busy host, that may take. */
const SILENCE_MS = 300_000
const MAX_LINE = 1000

export interface Commands {
  /** Fails with COMMAND_TIMEOUT, REMOTE_CANNOT, REMOTE_LOST. Commands wait for one another. */
  run(command: Omit<Command, 'onOutput'>, onOutput: (text: string) => void): Promise<CommandResult>
  /** Tells the agent to take its traces away and end. */
  quit(): void
}

/** Connects to the sockets of the ports in `directory`. */
export async function openPorts(directory: string): Promise<Record<Port, Socket>> {
  const connected = PORTS.map(async (port) => {
    const socket = connect(join(directory, port))
    await once(socket, 'connect')
    return [port, socket] as const
  })
  return Object.fromEntries(await Promise.all(connected)) as Record<Port, Socket>
}

/** Waits for the agent at the other end of the ports. Fails with REMOTE_LOST. */
export async function openCommands(ports: Record<Port, Socket>): Promise<Commands> {
  const lines = linesOf(ports.control)
  const nonce = randomBytes(16).toString('hex')
  const stdout = sharesOf(ports.stdout, nonce)
  const stderr = sharesOf(ports.stderr, nonce)
  if ((await lines.next()) !== 'ready')
    throw new Failure('REMOTE_LOST', 'the agent in the appliance is not ready')

  const nextAnswer = async (): Promise<string> => {
    for (;;) {
      const line = await lines.next()
      if (line !== 'alive') return line
    }
  }

  const runOne: Commands['run'] = async (command, onOutput) => {
    const id = randomBytes(8).toString('hex')
    const script = Buffer.from(scriptOf(command))
    const input = Buffer.from(command.input ?? '')
    if (input.length > MAX_INPUT)
      throw new Failure(
        'REMOTE_CANNOT',
        `input of ${input.length} bytes is more than the ${MAX_INPUT} that a command in the appliance can be given`,
      )
    const seconds = Math.ceil((command.timeoutMs ?? 0) / 1000)
    const kept = { stdout: new BoundedOutput(MAX_OUTPUT), stderr: new BoundedOutput(MAX_OUTPUT) }
    const ended = Promise.all([
      nextAnswer(),
      stdout.read(tee(kept.stdout, onOutput)),
      stderr.read(tee(kept.stderr, onOutput)),
    ])
    ports.control.write(`run ${id} ${seconds} ${script.length} ${input.length} ${nonce}\n`)
    ports.control.write(script)
    ports.control.write(input)
    const [line] = await ended
    const [, told, code = ''] = line.split(' ')
    const result = {
      stdout: kept.stdout.toBuffer().toString(),
      stderr: kept.stderr.toBuffer().toString(),
    }
    if (told === id && code === 'late') throw tooLate(command, result)
    if (told !== id || !/^\d{1,3}$/.test(code))
      throw new Failure('REMOTE_LOST', `the agent in the appliance answered '${line}'`)
    return { code: Number(code), ...result }
  }

  let turn: Promise<unknown> = Promise.resolve()
  return {
    run: (command, onOutput) => {
      const done = turn.then(() => runOne(command, onOutput))
      turn = done.catch(() => {})
      return done
    },
    quit: () => void ports.control.write('quit\n'),
  }
}

function tooLate(
  { argv, timeoutMs = 0 }: Omit<Command, 'onOutput'>,
  { stdout, stderr }: { stdout: string; stderr: string },
): Failure {
  const output = (stderr.trim() || stdout.trim()).split('\n').slice(-20).join('\n')
  return new Failure('COMMAND_TIMEOUT', `${argv[0]} did not end within ${timeoutMs / 1000} s`, {
    details: { argv: argv.slice(0, 1), output },
  })
}

function tee(kept: BoundedOutput, onOutput: (text: string) => void): (chunk: Buffer) => void {
  const decoder = new TextDecoder()
  return (chunk) => {
    kept.add(chunk)
    onOutput(decoder.decode(chunk, { stream: true }))
  }
}

/** What each command prints on a port, up to the mark that the agent sets behind it. */
function sharesOf(socket: Socket, nonce: string) {
  const stream = new MarkedStream(nonce)
  let share: { take: (chunk: Buffer) => void; end: (why?: Failure) => void } | undefined
  let lost: Failure | undefined
  socket.on('data', (chunk: Buffer) => {
    for (const part of stream.push(chunk))
      if (typeof part === 'string') share?.end()
      else share?.take(part)
  })
  socket.on('error', () => {}) // the close that follows says enough
  socket.once('close', () => {
    lost = new Failure('REMOTE_LOST', 'the appliance is gone')
    share?.end(lost)
  })
  return {
    read: (take: (chunk: Buffer) => void): Promise<void> =>
      new Promise((resolve, reject) => {
        const end = (why?: Failure) => {
          share = undefined
          if (why) reject(why)
          else resolve()
        }
        if (lost) end(lost)
        else share = { take, end }
      }),
  }
}

/** Lines from the control port, one at a time. Fails with REMOTE_LOST. */
function linesOf(socket: Socket): { next(): Promise<string> } {
  const lines: string[] = []
  const arrivals = new EventEmitter()
  let rest = ''
  let lost: Failure | undefined
  const lose = (why: string) => {
    lost ??= new Failure('REMOTE_LOST', why)
    arrivals.emit('arrival')
  }
  socket.setEncoding('latin1').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
    if (rest.length > MAX_LINE || lines.length > MAX_LINE) lose('the agent talks nonsense')
    arrivals.emit('arrival')
  })
  socket.on('error', (error) => lose(`the appliance is gone: ${error.message}`))
  socket.once('close', () => lose('the appliance is gone'))
  return {
    next: async () => {
      while (lines.length === 0) {
        if (lost) throw lost
        const timer = setTimeout(() => lose('the appliance is silent'), SILENCE_MS)
        await once(arrivals, 'arrival')
        clearTimeout(timer)
      }
      return lines.shift() ?? ''
    },
  }
}

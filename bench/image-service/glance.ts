/**
 * Real Glance, with its Keystone, MariaDB and memcached, out of Debian's packages in a chroot: started and
 * ended by the scripts `up.sh` and `down.sh` of a directory that whoever measures brings.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { runTool } from '../../src/base/process.ts'
import type { Absent } from '../series.ts'
import { processTree } from './processes.ts'
import { type Identity, logIn, type Server } from './server.ts'

export type Glance = Server & { readonly identity: Identity }

/** Glance as an operator would run it for speed, on this machine. It takes a minute to start. */
export async function openGlance(directory: string | undefined): Promise<Glance | Absent> {
  if (!directory)
    return {
      name: 'Glance',
      why: 'neither --glance DIR nor INGOT_PEERS says where its scripts are',
    }
  if (!existsSync(join(directory, 'up.sh')))
    return { name: 'Glance', why: `there is no up.sh in ${directory}` }
  const ask = async (question: string) => {
    const script = `. "$0/lib.sh" && printf %s "${question}"`
    return (await runTool(['bash', '-c', script, directory])).toString()
  }
  const up = 'NICE= MODE=bench "$0/up.sh" >&2'
  process.stderr.write('starting Glance\n')
  await runTool(['bash', '-c', up, directory])
  const down = async () => void (await runTool([join(directory, 'down.sh')]))
  try {
    const pidFile = await ask('$ROOT$P/run/glance.pid')
    const identity = { authUrl: await ask('$KS'), password: await ask('$ADMIN_PASSWORD') }
    return {
      name: 'Glance',
      port: Number(await ask('$GLANCE_PORT')),
      token: await logIn(identity),
      identity,
      pids: () => processTree(Number(readFileSync(pidFile, 'utf8'))),
      [Symbol.asyncDispose]: down,
    }
  } catch (error) {
    await down()
    throw error
  }
}

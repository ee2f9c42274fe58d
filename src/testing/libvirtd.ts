/** A libvirt daemon of this test's own, as a user without rights, with a storage pool in a directory. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Failure } from '../base/failure.ts'
import { exitOf, findProgram, runTool, startProcess, stopProcess } from '../base/process.ts'

export interface TestLibvirt extends AsyncDisposable {
  /** For virsh. */
  readonly uri: string
  readonly pool: string
  /** Where the volumes of the pool are. */
  readonly directory: string
  virsh(...words: string[]): Promise<string>
}

const NOBODY = '65534'
const POOL = 'images'

/** Starts one. Fails with TOOL_MISSING. */
export async function openTestLibvirt(): Promise<TestLibvirt> {
  for (const name of ['libvirtd', 'virsh', 'setpriv'])
    if (findProgram(name) === undefined)
      throw new Failure('TOOL_MISSING', `the program '${name}' is not installed`)
  const home = await mkdtemp(join(tmpdir(), 'ingot-libvirt-'))
  const directory = join(home, 'pool')
  for (const name of ['pool', 'run', 'run/libvirt']) await mkdir(join(home, name))
  const isRoot = process.getuid?.() === 0
  if (isRoot) await runTool(['chown', '-R', `${NOBODY}:${NOBODY}`, home])
  // As root it would be the daemon of the system.
  const user = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
  const child = startProcess([...(isRoot ? user : []), 'libvirtd'], {
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: home,
      XDG_RUNTIME_DIR: join(home, 'run'),
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_CACHE_HOME: join(home, 'cache'),
    },
    stdio: 'ignore',
  })
  const close = async () => {
    await stopProcess(child)
    await rm(home, { recursive: true, force: true })
  }
  try {
    const socket = await socketIn(join(home, 'run/libvirt'), exitOf(child, 'libvirtd'))
    const uri = `qemu:///session?socket=${socket}`
    const virsh = async (...words: string[]) =>
      (await runTool(['virsh', '--quiet', '--connect', uri, ...words])).toString()
    await virsh('pool-create-as', POOL, 'dir', '--target', directory)
    return { uri, pool: POOL, directory, virsh, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The daemon's socket, once it is there. */
async function socketIn(directory: string, ended: Promise<number>): Promise<string> {
  const name = 'libvirt-sock'
  const watcher = watch(directory)
  try {
    return await new Promise<string>((resolve, reject) => {
      watcher.on('change', (_kind, file) => {
        if (file === name) resolve(join(directory, name))
      })
      watcher.on('error', reject)
      ended.then((code) => reject(new Error(`libvirtd ended with ${code}`)), reject)
    })
  } finally {
    watcher.close()
  }
}

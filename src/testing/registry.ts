/** A container registry on the loopback address: Debian's docker-registry, with its data in a directory of its own. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Failure } from '../base/failure.ts'
import { exitOf, findProgram, startProcess, stopProcess } from '../base/process.ts'

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string
}

/** Who may push to one with a password. */
export const REGISTRY_USER = { username: 'ann', password: 'open sesame' } as const
/** The same, as bcrypt has it. */
const PASSWORD_FILE = 'ann:$2b$04$jzhHhC2aAHvT.FXmI1Oez..feSGQXPh93sDcMYkHXR0313IeXpBPe\n'

/** Starts one; with `password` only for `REGISTRY_USER`. Fails with TOOL_MISSING. */
export async function openTestRegistry(
  options: { readonly password?: boolean } = {},
): Promise<TestRegistry> {
  const program = findProgram('docker-registry')
  if (program === undefined)
    throw new Failure('TOOL_MISSING', "the program 'docker-registry' is not installed")
  const directory = await mkdtemp(join(tmpdir(), 'ingot-registry-'))
  await mkdir(join(directory, 'data'))
  await writeFile(join(directory, 'passwords'), PASSWORD_FILE)
  const config = {
    version: 0.1,
    storage: {
      filesystem: { rootdirectory: join(directory, 'data') },
      delete: { enabled: true },
    },
    http: { addr: '127.0.0.1:0' },
    ...(options.password === true && {
      auth: { htpasswd: { realm: 'test', path: join(directory, 'passwords') } },
    }),
  }
  await writeFile(join(directory, 'config.yml'), JSON.stringify(config))
  const child = startProcess([program, 'serve', join(directory, 'config.yml')], {
    env: { OTEL_TRACES_EXPORTER: 'none' },
  })
  const close = async () => {
    await stopProcess(child)
    await rm(directory, { recursive: true, force: true })
  }
  const host = new Promise<string>((resolve, reject) => {
    let text = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (part: string) => {
        text = (text + part).slice(-8192)
        const [, found] = /listening on (127\.0\.0\.1:\d+)/.exec(text) ?? []
        if (found !== undefined) resolve(found)
      })
    exitOf(child, program).then(
      (code) => reject(new Error(`docker-registry ended with ${code}: ${text}`)),
      reject,
    )
  })
  try {
    return { host: await host, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}

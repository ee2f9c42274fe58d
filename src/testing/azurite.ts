/** Azurite, Microsoft's own emulator of Azure's storage, as a process of a test. */
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'
import { startProcess, stopProcess } from '../base/process.ts'

export interface Azurite extends AsyncDisposable {
  /** Of the account: `http://127.0.0.1:PORT/devstoreaccount1`. */
  readonly endpoint: string
  readonly account: string
  readonly key: string
}

/** Known to everybody. Source: Azurite, "Default storage account". */
const ACCOUNT = 'devstoreaccount1'
const KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

/** Starts its blob service, which keeps everything in memory. */
export async function openAzurite(): Promise<Azurite> {
  const program = createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js')
  const settings = [
    '--inMemoryPersistence',
    '--disableTelemetry',
    '--silent',
    '--skipApiVersionCheck',
  ]
  const child = startProcess([process.execPath, program, '--blobPort', '0', ...settings], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const heard: string[] = []
  for await (const line of createInterface({ input: child.stdout! })) {
    heard.push(line)
    const address = /listens on (http:\S+)/.exec(line)?.[1]
    if (address === undefined) continue
    child.stdout?.resume()
    return {
      endpoint: `${address}/${ACCOUNT}`,
      account: ACCOUNT,
      key: KEY,
      [Symbol.asyncDispose]: () => stopProcess(child),
    }
  }
  throw new Error(`Azurite did not start: ${heard.join('\n')}`)
}

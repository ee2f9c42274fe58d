/** A process that starts a machine and stays, for a test of what is left when it is killed. */
import { makeContext } from '../base/context.ts'
import { emulation } from '../machines/accelerator.ts'
import { startMachine } from '../machines/start-machine.ts'

const [path = '', tempDir = ''] = process.argv.slice(2)
const machine = await startMachine(
  {
    disk: { path, format: 'raw' },
    firmware: 'bios',
    accelerator: emulation('a test'),
    memory: 64 * 1024 * 1024,
    cpus: 1,
    network: 'none',
    tempDir,
  },
  makeContext(),
)
process.send?.(machine.pid)

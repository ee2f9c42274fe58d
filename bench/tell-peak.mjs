/** Preloaded by `--import`: when the process ends it writes down the most memory it held, in KiB. */
import { appendFileSync, readFileSync } from 'node:fs'

process.on('exit', () => {
  const file = process.env['BENCH_PEAKS']
  // Source: proc_pid_status(5). Of this program alone, unlike getrusage's, which survives execve.
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  if (file !== undefined && peak !== undefined) appendFileSync(file, `${peak}\n`)
})

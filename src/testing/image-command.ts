/** `ingot image` as people use it, for tests: in a shell of its own, with the words that every call of a test has. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { runProcess } from '../base/process.ts'

const INGOT = join(import.meta.dirname, '../../ingot')

export interface ShownImage {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly [field: string]: unknown
}

/** Variables of a shell in which nobody named a cloud. */
export const plainShell = (home: string) => ({ PATH: process.env['PATH'] ?? '', HOME: home })

/** `ingot image` with these words before and after those of a test. */
export function imageCommand(more: readonly string[], env: Readonly<Record<string, string>>) {
  const run = async (words: readonly string[], input?: Uint8Array) => {
    const argv = [INGOT, 'image', ...words, ...more]
    const { code, stdout, stderr } = await runProcess(argv, { env, ...(input && { input }) })
    return { code, stdout, stderr: stderr.toString() }
  }
  return {
    run,
    json: async <T = ShownImage>(...words: string[]) => {
      const { code, stdout, stderr } = await run([...words, '--json'])
      assert.equal(code, 0, stderr)
      return JSON.parse(stdout.toString()) as T
    },
    /** It must end with this code, and say something that matches, in one or two lines. */
    fails: async (code: number, message: RegExp, ...words: string[]) => {
      const ran = await run(words)
      assert.equal(ran.code, code, ran.stderr)
      assert.match(ran.stderr, message)
      assert.doesNotMatch(ran.stderr, /a bug|\n {4}at /)
    },
  }
}

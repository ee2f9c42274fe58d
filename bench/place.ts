/** Where benchmarks work, and the image they start from. */
import { existsSync } from 'node:fs'
import { cp, mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { runTool } from '../src/base/process.ts'

export const root = resolve(import.meta.dirname, '..')
export const INGOT = join(root, 'ingot')
export const place = join(root, 'out', 'bench')

/** A Debian 12 image as qcow2: `BASE_IMAGE`, else built once from `bench/work/base.yaml`. */
export async function baseImage(): Promise<string> {
  await mkdir(place, { recursive: true })
  const given = process.env['BASE_IMAGE']
  if (given) return given
  const path = join(place, 'base.qcow2')
  if (!existsSync(path))
    await runTool([INGOT, 'build', join(root, 'bench/work/base.yaml'), '--output', path, '-q'])
  return path
}

/** A fresh copy of the image for one run. */
export async function freshCopy(image: string, name: string): Promise<string> {
  const path = join(place, name)
  await runTool(['cp', '--reflink=auto', '--sparse=always', image, path])
  return path
}

export async function keepCopy(from: string, to: string): Promise<void> {
  await cp(from, to, { force: true })
}

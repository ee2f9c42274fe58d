import { Type } from '../../schema/type.ts'
import type { ByteStep } from '../step.ts'

/** Formats that are no disks, or that no disk stands in: they stay what they are. */
const KEPT: ReadonlySet<string> = new Set(['iso', 'ami', 'ari', 'aki', 'ploop'])
const DISKS_IN: ReadonlySet<string> = new Set(['bare', 'compressed', 'ova'])

/** Makes the configured format of any disk, while the data arrives. */
export const convert: ByteStep<{ readonly golden_format: string }> = {
  on: 'bytes',
  name: 'convert',
  summary: 'makes one disk format of all, while the data arrives',
  options: Type.Object({
    golden_format: Type.String({ description: 'the format that is kept; default raw' }),
  }),
  wish: ({ golden_format: convertTo }, { diskFormat, containerFormat }) =>
    KEPT.has(diskFormat ?? '') || !DISKS_IN.has(containerFormat ?? '') ? {} : { convertTo },
}

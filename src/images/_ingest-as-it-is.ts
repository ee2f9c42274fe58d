import { createInspector, type Inspector } from '../formats/create-inspector.ts'
import type { Inspection } from '../formats/inspect.ts'
import { demandRoom, type Intake, type Stored } from './_intake.ts'
import { claimOf, isInspected, judgeContent } from './_judge-content.ts'
import { ObjectStream } from './_object-stream.ts'

/** Stores content byte for byte, and finds out meanwhile what it is. */
export async function ingestAsItIs(
  content: AsyncIterable<Uint8Array>,
  intake: Intake,
): Promise<Stored> {
  const { plan, digests, algorithms } = intake
  const isStoredSize = plan.decompress !== true && plan.convertTo === undefined
  await using writer = await plan.store.create(plan.key, isStoredSize ? plan.size : undefined)
  await using inspector = openInspector(intake)
  await using ring = digests.ring(algorithms, plan.decompress === true ? undefined : plan.size)
  let looking = inspector
  const look = async (block: Buffer) => {
    await looking?.push(block)
    if (!looking?.decided) return
    const settled = looking
    looking = undefined // of what is stored all the same, nothing is looked at any more
    judgeContent(await settled.end(), plan)
  }
  await using object = new ObjectStream({
    ring,
    writer,
    look,
    demandRoom: (size) => demandRoom(plan, size),
  })
  for await (const chunk of content) {
    const taken = object.write(chunk)
    if (taken !== undefined) await taken
  }
  const { digests: stored, map } = await object.end()
  const inspection = await looking?.end()
  if (inspection) judgeContent(inspection, plan)
  await intake.demandExpected(stored)
  await writer.finish(object.size)
  return {
    size: object.size,
    virtualSize: virtualSizeOf(inspection, object.size, intake),
    diskFormat: plan.diskFormat,
    containerFormat: plan.containerFormat,
    digests: stored,
    map: plan.wantsMap && plan.diskFormat === 'raw' && isInspected(plan) ? map : undefined,
    findings: inspection?.findings ?? [],
  }
}

function openInspector({ plan, context }: Intake): Inspector | undefined {
  if (!isInspected(plan)) return undefined
  const { spoolDirectory } = plan
  // How long it may take is the client's affair, and how much may come, the limits'.
  const limits = { timeMs: Infinity, unpackedSize: plan.maxSize }
  return createInspector({ claim: claimOf(plan), limits, spoolDirectory }, context)
}

/** What is not taken apart is a disk as it is; what is inside of containers nobody knows. */
function virtualSizeOf(
  inspection: Inspection | undefined,
  size: number,
  { plan }: Intake,
): number | null {
  if (!isInspected(plan)) return null
  if (inspection === undefined || inspection.format !== plan.diskFormat) return size
  return plan.diskFormat === 'raw' ? size : (inspection.virtualSize ?? size)
}

export { describeProviderContract } from './testing/provider-contract.ts'
export type {
  ProviderFixtures,
  ProviderUnderTest,
  RecordedRefusal,
  RecordedReply,
} from './testing/provider-fixtures.ts'

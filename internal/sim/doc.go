// Package sim simulates the township halls of a county for any number of days.
// It is a partner like any other: it talks only to the hub's public doors (SOAP
// TCM_HIS_01 and 02, POST /ingest/his), and it knows the truth, so that what
// analysts read can be compared with what was sent.
//
// Everything is fictitious and drawn from the seed; persons carry the region
// code 379901, which does not exist. Three halls have peculiarities, counted in
// [Totals]: the first prescribes 附子 above the pharmacopoeia's dose now and
// then, the second joins 甘草 and 甘遂 (十八反), the third forgets syndromes.
package sim

package centre

import (
	"fmt"
	"math/rand/v2"

	"github.com/qihuang-health/qihuang/adapters/ncms"
)

// first is the person of the published sample messages.
var first = ncms.Person{Number: "G100001", Card: "NH100001", Book: "37990100010001", Name: "张三", Sex: "1", Birth: "1956-03-12",
	NationalID: "379901195603120010", Phone: "05300000000", Address: "示例县张庄镇示例村1号", Insurance: "380", Area: "379901"}

const (
	surnames = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
	given    = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰"
)

// person makes insured person n (from 0); all are fictitious. Every 50th is not
// insured any more.
func person(seed uint64, n int) (p ncms.Person, paused bool) {
	if n == 0 {
		return first, false
	}
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	pick := func(list []rune) string { return string(list[r.IntN(len(list))]) }
	female := r.IntN(2) == 1
	p = ncms.Person{Number: fmt.Sprintf("G%06d", 100001+n), Card: fmt.Sprintf("NH%06d", 100001+n), Book: fmt.Sprintf("3799010001%04d", 1+n/4),
		Name: pick([]rune(surnames)) + pick([]rune(given)) + pick([]rune(given)), Sex: "1",
		Birth: fmt.Sprintf("%04d-%02d-%02d", 1935+r.IntN(85), 1+r.IntN(12), 1+r.IntN(28)), Address: fmt.Sprintf("示例县示例村%d号", 1+r.IntN(400)),
		Insurance: "380", Area: "379901"}
	sequence := r.IntN(500)*2 + 1
	if female {
		p.Sex = "2"
		sequence--
	}
	p.NationalID = identity(p.Birth, sequence)
	return p, n%50 == 49
}

// identity makes a number of the region 379901, which does not exist, with a
// true check digit (GB 11643).
func identity(birth string, sequence int) string {
	s := "379901" + birth[:4] + birth[5:7] + birth[8:] + fmt.Sprintf("%03d", sequence)
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * w
	}
	return s + "10X98765432"[sum%11:sum%11+1]
}

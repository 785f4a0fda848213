package control

import "testing"

func TestQuota(t *testing.T) {
	for extra, want := range map[string]Quota{
		"":                                     {},
		"userdb_quota_rule=*:storage=100M":     {Octets: 100 << 20},
		"quota_rule=*:storage=100":             {Octets: 100 << 10},
		"quota_rule=*:bytes=100":               {Octets: 100},
		"quota_rule=*:bytes=1k:messages=5":     {Octets: 1 << 10, Messages: 5},
		"quota_rule=*:storage=0":               {},
		"quota_rule=*:messages=2T":             {Messages: 2 << 40},
		"userdb_quota_storage_size=1G":         {Octets: 1 << 30},
		"quota_message_count=7 userdb_x=y":     {Messages: 7},
		"userdb_quota_rule2=Trash:storage=+5M": {},
	} {
		u, err := parseUser("/home", "a@example.net:::::::"+extra)
		if err != nil || u.Quota != want {
			t.Errorf("%q: %+v %v", extra, u.Quota, err)
		}
	}
	for _, extra := range []string{"quota_rule=*:storage=100MB", "quota_rule=*:storage=", "quota_rule=*:storage=-1", "quota_rule=100M",
		"quota_rule=*", "quota_rule=*:storage=50%", "quota_rule=Trash:storage=5M", "quota_rule=*:store=5M", "quota_rule=?:storage=1M",
		"quota_rule=*:storage=99999999999T", "userdb_quota_storage_size=M", "quota_message_count=1.5", "quota_rule=*:storage=1M:"} {
		if u, err := parseUser("/home", "a@example.net:::::::"+extra); err == nil {
			t.Errorf("%q: %+v", extra, u.Quota)
		}
	}
}
